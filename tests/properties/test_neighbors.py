"""Every way to a neighbor list gives what looking at all images gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.errors import StructureError
from atomfm_calc.neighbors import LONGEST_VECTOR, EdgeList, SkinCache, find_edges
from atomfm_calc.neighbors_batch import find_edges_of_many
from atomfm_calc.sample import Sample
from tests.properties.strategies import SEEDS, sound_structures

CUTOFFS = st.floats(0.5, 6.0)
ON_THE_EDGE = 1e-9
"""Å; a pair so near to the cutoff may be listed or not."""
FEW = st.integers(1, 40)


def of_sample(sample: Sample, cutoff: float) -> EdgeList:
    return find_edges(sample.positions, sample.cell, sample.pbc, cutoff)


def edge_set(sample: Sample, edges: EdgeList, cutoff: float) -> set[tuple[int, ...]]:
    """(center, neighbor, shift) of all edges, without those at the cutoff; none stands twice."""
    center, neighbor = edges.edge_index
    shift = edges.edge_shift
    vectors = sample.positions[neighbor] - sample.positions[center] + shift @ sample.cell
    distances = np.linalg.norm(vectors, axis=1)
    rows = np.column_stack([center, neighbor, shift]).astype(np.int64)
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert (np.diff(center) >= 0).all()
    return set(map(tuple, rows[np.abs(distances - cutoff) > ON_THE_EDGE].tolist()))


def brute_force(sample: Sample, cutoff: float) -> set[tuple[int, ...]]:
    """All pairs and images that could be near enough, by their distance."""
    periodic = np.flatnonzero(sample.pbc)
    rows = sample.cell[periodic]
    inverse = np.linalg.pinv(rows)  # [3, P]; norms of the columns are 1 / height
    heights = 1.0 / np.linalg.norm(inverse, axis=0)
    spread = np.ptp(sample.positions @ inverse, axis=0)
    reach = np.ceil(cutoff / heights + spread).astype(int)
    ranges = [np.arange(-n, n + 1) for n in reach]
    found = set()
    for drawn in product(*ranges):
        image = np.array(drawn, dtype=int)
        shift = np.zeros(3, dtype=int)
        shift[periodic] = image
        vectors = sample.positions[None] + shift @ sample.cell - sample.positions[:, None]
        distances = np.linalg.norm(vectors, axis=-1)
        near = (distances < cutoff) & (np.abs(distances - cutoff) > ON_THE_EDGE)
        if not image.any():
            np.fill_diagonal(near, False)
        found |= {(int(i), int(j), *shift.tolist()) for i, j in np.argwhere(near)}
    return found


@given(atoms=sound_structures(FEW), cutoff=CUTOFFS)
def test_the_list_is_that_of_all_images(atoms: Atoms, cutoff: float) -> None:
    sample = sample_from_atoms(atoms)
    found = edge_set(sample, of_sample(sample, cutoff), cutoff)
    assert found == brute_force(sample, cutoff)


@given(atoms=sound_structures(), cutoff=CUTOFFS)
def test_every_edge_has_its_reverse(atoms: Atoms, cutoff: float) -> None:
    sample = sample_from_atoms(atoms)
    found = edge_set(sample, of_sample(sample, cutoff), cutoff)
    assert found == {(j, i, -a, -b, -c) for i, j, a, b, c in found}


@given(
    structures=st.lists(sound_structures(st.integers(1, 25)), min_size=1, max_size=6),
    cutoff=CUTOFFS,
)
def test_lists_made_together_are_those_made_alone(structures: list[Atoms], cutoff: float) -> None:
    samples = [sample_from_atoms(atoms) for atoms in structures]
    for sample, edges in zip(samples, find_edges_of_many(samples, cutoff), strict=True):
        expected = edge_set(sample, of_sample(sample, cutoff), cutoff)
        assert edge_set(sample, edges, cutoff) == expected


@given(atoms=sound_structures(FEW), cutoff=CUTOFFS, skin=st.floats(0.0, 2.0), seed=SEEDS)
def test_a_reused_list_misses_nothing(atoms: Atoms, cutoff: float, skin: float, seed: int) -> None:
    sample, generator = sample_from_atoms(atoms), np.random.default_rng(seed)
    cache = SkinCache(cutoff, skin)
    for _ in range(4):
        edges = cache.edges(sample.positions, sample.cell, sample.pbc)
        expected = edge_set(sample, of_sample(sample, cutoff), cutoff)
        assert edge_set(sample, edges, cutoff) == expected
        step = generator.normal(0.0, 0.2, sample.positions.shape)
        sample = replace(sample, positions=sample.positions + step)


@given(size=st.floats(1.0, 1e7), pbc=st.tuples(*[st.booleans()] * 3), n_atoms=st.integers(1, 4))
def test_a_huge_cell_has_no_edges_or_is_refused(
    size: float, pbc: tuple[bool, bool, bool], n_atoms: int
) -> None:
    positions = np.arange(n_atoms)[:, None] * np.array([[5.0, 0.0, 0.0]])
    cell = size * np.eye(3)
    if size > LONGEST_VECTOR and any(pbc):
        with pytest.raises(StructureError, match="Make the vacuum smaller"):
            find_edges(positions, cell, np.array(pbc), 4.0)
        return
    edges = find_edges(positions, cell, np.array(pbc), 4.0)
    is_alone = size > 4.0 + 5.0 * n_atoms or not any(pbc)
    assert not is_alone or edges.edge_index.shape[1] == 0
