"""Random candidates: the same whoever asks, distributed as promised, never too close."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from atomfm_calc.config import parse_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.screening.campaign import RandomCandidates
from atomfm_calc.screening.random_structures import RandomStructures


def _source(**changes: object) -> RandomStructures:
    settings = {"kind": "random", "count": 10**9, "max_atoms": 20} | changes
    return RandomStructures(RandomCandidates(**settings))


def test_a_candidate_is_the_same_in_every_block() -> None:
    source = _source()
    many, one = source.read(999_999_000, 999_999_100), source.read(999_999_042, 999_999_043)
    alone = many.select(np.array([42]))
    assert alone.names == one.names == ("random-42#999999042",)
    assert np.array_equal(alone.positions, one.positions)
    assert np.array_equal(alone.atomic_numbers, one.atomic_numbers)


def test_another_seed_gives_other_structures() -> None:
    first, second = _source(seed=1).read(0, 10), _source(seed=2).read(0, 10)
    assert not np.array_equal(first.n_atoms, second.n_atoms)


def test_numbers_elements_and_places_are_uniform() -> None:
    block = _source(max_atoms=500).read(0, 2000)
    # 2..500 uniform: mean 251, deviation 144; of 2000 structures the mean is within 3.2 on average
    assert block.n_atoms.mean() == pytest.approx(251, abs=13)
    assert block.n_atoms.min() >= 2
    assert block.n_atoms.max() <= 500
    counts = np.bincount(block.atomic_numbers, minlength=95)[1:95]
    mean = len(block.atomic_numbers) / 94
    assert np.abs(counts - mean).max() < 5 * np.sqrt(mean)
    assert set(np.unique(block.atomic_numbers)) == set(range(1, 95))
    assert block.positions.mean(axis=0) == pytest.approx([5.0] * 3, abs=0.05)


def test_atoms_keep_the_least_distance() -> None:
    block = _source(min_distance=1.5).read(100, 200)
    first = block.first_atom
    nearest = [pdist(block.positions[start:stop]).min() for start, stop in pairwise(first)]
    assert min(nearest) >= 1.5


def test_a_structure_without_room_is_rejected_not_squeezed() -> None:
    block = _source(min_distance=9.0, box=10.0, min_atoms=15).read(0, 5)
    assert len(block) == 0
    assert {rejection.reason for rejection in block.rejected} == {"no-room"}


def test_impossible_settings_are_refused() -> None:
    content = {"kind": "random", "count": 5, "min_atoms": 4, "max_atoms": 3}
    with pytest.raises(ConfigError, match="max_atoms 3"):
        parse_config(RandomCandidates, content, "the test")
