"""Neighbor lists against brute force, ASE and matscipy; the skin cache against no cache."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import ase.neighborlist
import matscipy.neighbours
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.errors import StructureError
from atomfm_calc.graph import edge_vectors
from atomfm_calc.neighbors import (
    EdgeList,
    SkinCache,
    find_edges,
    graph_from_sample,
    must_overlap,
)
from atomfm_calc.sample import Sample
from tests.made.structures import STRUCTURES

CUTOFF = 4.1
MIXTURES = list(product([True, False], repeat=3))


def edge_set(edges: EdgeList) -> set[tuple[int, ...]]:
    """Edges as (center, neighbor, shift); fails if one is listed twice."""
    rows = np.hstack([edges.edge_index.T, edges.edge_shift]).astype(int)
    found = set(map(tuple, rows.tolist()))
    assert len(found) == len(rows)
    return found


def brute_force(sample: Sample, cutoff: float) -> set[tuple[int, ...]]:
    """Every pair of every image within `reach` cells, by its distance."""
    reach = 7  # made cells are wider than 4.1 Å / 7 and atoms lie within a few cells of each other
    ranges = [range(-reach, reach + 1) if periodic else (0,) for periodic in sample.pbc]
    shifts = np.array(list(product(*ranges)))  # [K, 3]
    vectors = (
        sample.positions[None, :, None] + (shifts @ sample.cell)[None, None]
        - sample.positions[:, None, None]
    )  # [N, N, K, 3]  # fmt: skip
    distances = np.linalg.norm(vectors, axis=-1)
    center, neighbor, image = np.nonzero((distances < cutoff) & (distances > 1e-9))
    return set(map(tuple, np.column_stack([center, neighbor, shifts[image]]).astype(int).tolist()))


def random_sample(seed: int, pbc: tuple[bool, ...]) -> Sample:
    """Skewed cell with edges of 3 to 6 Å, some atoms outside of it."""
    generator = np.random.default_rng(seed)
    cell = np.diag(generator.uniform(3.0, 6.0, 3)) + generator.uniform(-1.2, 1.2, (3, 3))
    positions = generator.uniform(-0.5, 1.5, (int(generator.integers(1, 6)), 3)) @ cell
    numbers = np.full(len(positions), 6)
    return Sample(atomic_numbers=numbers, positions=positions, cell=cell, pbc=np.array(pbc))


def _edges_of(sample: Sample, cutoff: float = CUTOFF) -> EdgeList:
    return find_edges(sample.positions, sample.cell, sample.pbc, cutoff)


@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_of_the_made_structures_are_those_of_brute_force(name: str) -> None:
    sample = STRUCTURES[name]
    found = edge_set(_edges_of(sample))
    assert found == brute_force(sample, CUTOFF)


@pytest.mark.parametrize("pbc", MIXTURES, ids=str)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6))
def test_edges_of_random_cells_are_those_of_brute_force(
    pbc: tuple[bool, bool, bool], seed: int
) -> None:
    sample = random_sample(seed, pbc)
    assert edge_set(_edges_of(sample)) == brute_force(sample, CUTOFF)


@pytest.mark.parametrize("pbc", MIXTURES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_edges_are_those_of_ase_and_matscipy(pbc: tuple[bool, bool, bool], seed: int) -> None:
    atoms = atoms_from_sample(random_sample(seed, pbc))
    found = edge_set(find_edges(atoms.positions, atoms.cell.array, atoms.pbc, CUTOFF))
    for theirs in (ase.neighborlist.neighbor_list, matscipy.neighbours.neighbour_list):
        center, neighbor, shift = theirs("ijS", atoms, CUTOFF)
        assert found == set(map(tuple, np.column_stack([center, neighbor, shift]).tolist()))


def test_a_cell_smaller_than_the_cutoff_has_self_images() -> None:
    edges = _edges_of(STRUCTURES["tiny cell"], cutoff=2.5)  # 2.4 Å simple cubic: six neighbors
    assert edges.edge_index.tolist() == [[0] * 6, [0] * 6]
    assert sorted(map(tuple, np.abs(edges.edge_shift).astype(int).tolist())) == sorted(
        2 * [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    )


def test_a_periodic_vector_too_long_for_the_library_is_refused() -> None:
    cell = np.diag([3.0, 5000.0, 5000.0])
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    with pytest.raises(StructureError, match="5000 Å long.*Make the vacuum smaller"):
        find_edges(positions, cell, np.ones(3, dtype=bool), 5.0)
    slab = find_edges(positions, cell, np.array([True, False, False]), 5.0)
    assert slab.edge_index.shape == (2, 10)  # each: 2 own images, the other and 2 images of it


@pytest.mark.parametrize("name", STRUCTURES)
def test_edges_come_sorted_by_center_and_in_both_directions(name: str) -> None:
    edges = _edges_of(STRUCTURES[name])
    assert (np.diff(edges.edge_index[0]) >= 0).all()
    found = edge_set(edges)
    assert found == {(j, i, -a, -b, -c) for i, j, a, b, c in found}


@pytest.mark.parametrize("name", STRUCTURES)
def test_graph_vectors_are_shorter_than_the_cutoff(name: str) -> None:
    graph = graph_from_sample(STRUCTURES[name], CUTOFF)
    assert (edge_vectors(graph).norm(dim=1) < CUTOFF).all()
    assert graph.n_atoms.tolist() == [STRUCTURES[name].n_atoms]


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_skin_cache_gives_the_edges_of_a_new_list_while_atoms_move(name: str) -> None:
    sample = STRUCTURES[name]
    cache = SkinCache(cutoff=CUTOFF, skin=0.6)
    generator = np.random.default_rng(9)
    for _ in range(25):
        moved = cache.edges(sample.positions, sample.cell, sample.pbc)
        assert edge_set(moved) == edge_set(_edges_of(sample))
        step = generator.normal(0.0, 0.04, sample.positions.shape)
        sample = replace(sample, positions=sample.positions + step)
    assert cache.n_lists_made < 25
    assert cache.n_lists_made > 1 or sample.n_atoms == 1


def test_the_skin_cache_keeps_its_list_up_to_half_the_skin() -> None:
    sample = STRUCTURES["rock salt"]
    cache = SkinCache(cutoff=CUTOFF, skin=0.6)
    for distance, n_lists in ((0.0, 1), (0.29, 1), (0.31, 2)):
        positions = sample.positions.copy()
        positions[1, 2] += distance
        cache.edges(positions, sample.cell, sample.pbc)
        assert cache.n_lists_made == n_lists


@pytest.mark.parametrize("change", ["cell", "pbc", "number of atoms"])
def test_the_skin_cache_makes_a_new_list_when_more_than_positions_change(change: str) -> None:
    sample = STRUCTURES["rock salt"]
    changed = {
        "cell": replace(sample, cell=1.001 * sample.cell),
        "pbc": replace(sample, pbc=np.array([True, True, False])),
        "number of atoms": replace(sample, positions=sample.positions[:1]),
    }[change]
    cache = SkinCache(cutoff=CUTOFF, skin=0.6)
    cache.edges(sample.positions, sample.cell, sample.pbc)
    found = cache.edges(changed.positions, changed.cell, changed.pbc)
    assert cache.n_lists_made == 2
    assert edge_set(found) == edge_set(_edges_of(changed))


def test_the_skin_cache_is_not_fooled_by_a_caller_who_writes_into_the_positions() -> None:
    sample = STRUCTURES["water"]
    positions = sample.positions.copy()
    cache = SkinCache(cutoff=1.2, skin=0.2)
    cache.edges(positions, sample.cell, sample.pbc)
    positions[1] += 3.0
    assert len(cache.edges(positions, sample.cell, sample.pbc).edge_shift) == 2


@pytest.mark.parametrize("pbc", [(False, False, True), (True, True, False), (False,) * 3], ids=str)
@pytest.mark.parametrize("distance", [300.0, 1e4, 9e5])
def test_atoms_far_apart_where_nothing_is_periodic_are_listed_at_once(
    pbc: tuple[bool, bool, bool], distance: float
) -> None:
    # a chain took 4 s for 300 Å, minutes for 900, and the process ended for some thousand
    near = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.5]])
    far = near + distance * np.logical_not(pbc)
    positions, cell = np.concatenate([near, far]), 5.0 * np.eye(3)
    found = find_edges(positions, cell, np.array(pbc), CUTOFF)
    alone = find_edges(near, cell, np.array(pbc), CUTOFF)
    assert found.edge_index.shape[1] == 2 * alone.edge_index.shape[1]


@pytest.mark.parametrize(
    ("cell", "n_atoms", "expected"),
    [
        (np.eye(3) * 0.29, 1, True),
        (np.eye(3) * 0.31, 1, False),
        ([[3, 0, 0], [3, 0.1, 0], [0, 0, 3]], 1, True),  # the second minus the first is 0.1 Å long
        ([[9, 0, 0], [9, 0.4, 0], [0, 0, 3]], 1, False),
        (np.eye(3), 52, False),  # spheres of 0.3 Å: 2^(1/2) / 0.3³ = 52.4 per Å³ at most
        (np.eye(3), 53, True),
    ],
)
def test_a_lattice_too_small_for_its_atoms_is_known_without_a_list(
    cell: list[list[float]], n_atoms: int, expected: bool
) -> None:
    pbc = np.ones(3, dtype=bool)
    assert must_overlap(np.array(cell, dtype=float), pbc, n_atoms, 0.3) is expected


def test_a_direction_that_is_not_periodic_may_have_a_short_vector() -> None:
    cell = np.diag([5.0, 5.0, 0.1])
    assert not must_overlap(cell, np.array([True, True, False]), 1, 0.3)
    assert must_overlap(cell, np.array([False, False, True]), 1, 0.3)


@pytest.mark.parametrize("far", [2e6, 1e299, np.inf, np.nan])
@pytest.mark.parametrize("pbc", [(True, False, False), (True, True, True), (False, False, False)])
def test_a_position_beyond_all_reason_is_refused(far: float, pbc: tuple[bool, ...]) -> None:
    positions = np.array([[0.0, 0.0, 0.0], [1.0, far, 0.0]])
    with pytest.raises(StructureError, match=r"farther than 1e\+06 Å"):
        find_edges(positions, 10.0 * np.eye(3), np.array(pbc), 5.0)
