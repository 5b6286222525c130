"""Batches keep their budget, draw every structure, and go on where they stopped."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from atomfm_calc.errors import DataError, UnknownNameError
from training.config import BatchLimits
from training.data.batching import MixedSampler, fixed_batches
from training.data.mixing import weights

LIMITS = BatchLimits(max_atoms=30, max_edges=100, max_structures=8)
N_ATOMS = np.array([3, 9, 1, 12, 5, 7, 2, 4, 8, 6, 10, 11])
SIZES = (N_ATOMS, 3 * N_ATOMS)
INDEX = {"small": np.arange(4), "large": np.arange(4, 12)}
EQUAL = {"small": 0.5, "large": 0.5}


def _sampler(seed: int = 0) -> MixedSampler:
    return MixedSampler(INDEX, EQUAL, SIZES, LIMITS, seed)


def test_no_batch_exceeds_its_budget() -> None:
    sampler = _sampler()
    for _ in range(50):
        batch = sampler.next_batch()
        assert 0 < len(batch) <= LIMITS.max_structures
        assert N_ATOMS[batch].sum() <= LIMITS.max_atoms
        assert 3 * N_ATOMS[batch].sum() <= LIMITS.max_edges


def test_every_structure_of_a_head_is_drawn_once_before_any_is_drawn_again() -> None:
    sampler = _sampler()
    drawn = np.concatenate([sampler.next_batch() for _ in range(60)])
    for index in INDEX.values():
        own = drawn[np.isin(drawn, index)]
        passes = len(own) // len(index)
        assert passes > 3
        for number in range(passes):
            part = own[number * len(index) : (number + 1) * len(index)]
            assert sorted(part) == sorted(index)


def test_samples_seen_counts_what_was_handed_out() -> None:
    sampler = _sampler()
    drawn = Counter(int(i) for _ in range(20) for i in sampler.next_batch())
    for name, index in INDEX.items():
        assert sampler.state.seen[name] == sum(drawn[int(i)] for i in index)


def test_a_saved_position_goes_on_with_the_same_batches() -> None:
    sampler, other = _sampler(), _sampler()
    for _ in range(7):
        sampler.next_batch()
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    for _ in range(30):
        assert sampler.next_batch().tolist() == other.next_batch().tolist()


def test_another_seed_draws_otherwise() -> None:
    assert _sampler(0).next_batch().tolist() != _sampler(1).next_batch().tolist()


def test_a_structure_that_is_too_large_is_refused_at_the_start() -> None:
    tight = BatchLimits(max_atoms=11, max_edges=100, max_structures=8)
    with pytest.raises(DataError, match=r"12 atoms or 36 edges.*batch\.max_atoms"):
        MixedSampler(INDEX, EQUAL, SIZES, tight, 0)


def test_fixed_batches_keep_the_order_and_lose_nothing() -> None:
    batches = fixed_batches(np.arange(12), SIZES, LIMITS)
    assert np.concatenate(batches).tolist() == list(range(12))
    assert all(N_ATOMS[batch].sum() <= LIMITS.max_atoms for batch in batches)


def test_mixing_rules_lie_between_proportional_and_equal() -> None:
    sizes = {"a": 900, "b": 100}
    assert weights(sizes, "proportional") == pytest.approx({"a": 0.9, "b": 0.1})
    assert weights(sizes, "equal") == pytest.approx({"a": 0.5, "b": 0.5})
    # square roots: 30 and 10
    assert weights(sizes, "temperature", 2.0) == pytest.approx({"a": 0.75, "b": 0.25})


def test_a_factor_multiplies_the_draws_of_a_head() -> None:
    sizes = {"a": 100, "b": 100}
    assert weights(sizes, "equal", factors={"b": 3.0}) == pytest.approx({"a": 0.25, "b": 0.75})
    with pytest.raises(UnknownNameError, match="no head 'c'"):
        weights(sizes, "equal", factors={"c": 3.0})
