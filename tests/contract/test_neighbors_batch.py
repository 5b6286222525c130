"""Neighbor lists of a batch against brute force and against a list for each structure."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from ase.build import bulk

from atomfm_calc import neighbors_batch
from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.neighbors import find_edges
from atomfm_calc.neighbors_batch import LARGEST, find_edges_of_many
from atomfm_calc.sample import Sample
from tests.contract.test_neighbors import CUTOFF, brute_force, edge_set, random_sample
from tests.made.structures import STRUCTURES

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
MIXTURES = list(product([True, False], repeat=3))


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return str(request.param)


def check(samples: list[Sample], device: str, cutoff: float = CUTOFF) -> None:
    """Each list has the edges of brute force, once, sorted by center."""
    lists = find_edges_of_many(samples, cutoff, device)
    for sample, edges in zip(samples, lists, strict=True):
        assert edge_set(edges) == brute_force(sample, cutoff)
        assert (np.diff(edges.edge_index[0]) >= 0).all()
        assert edges.edge_index.dtype == np.int64


def test_a_batch_of_the_made_structures_has_the_edges_of_brute_force(device: str) -> None:
    check(list(STRUCTURES.values()), device)


@pytest.mark.parametrize("seed", range(6))
def test_a_batch_of_random_cells_of_every_periodicity_has_them_too(device: str, seed: int) -> None:
    check([random_sample(8 * seed + index, pbc) for index, pbc in enumerate(MIXTURES)], device)


def test_a_cell_that_is_not_periodic_is_not_looked_at(device: str) -> None:
    crystal = sample_from_atoms(bulk("NaCl", "rocksalt", a=5.64))
    cluster = replace(crystal, pbc=np.zeros(3, dtype=bool))
    flat = replace(cluster, cell=np.zeros((3, 3)))
    with_cell, without = find_edges_of_many([cluster, flat], CUTOFF, device)
    assert edge_set(with_cell) == edge_set(without) == {(0, 1, 0, 0, 0), (1, 0, 0, 0, 0)}


def test_a_tiny_cell_has_many_images_of_itself(device: str) -> None:
    iron = sample_from_atoms(bulk("Fe", "sc", a=0.9))
    check([iron, STRUCTURES["water"]], device)


def test_atoms_in_one_place_are_neighbors(device: str) -> None:
    water = STRUCTURES["water"]
    collapsed = replace(water, positions=np.zeros_like(water.positions))
    (edges,) = find_edges_of_many([collapsed], CUTOFF, device)
    assert edges.edge_index.shape == (2, 6)


def test_an_atom_alone_has_no_edges_and_no_structures_have_no_lists() -> None:
    (edges,) = find_edges_of_many([STRUCTURES["lone atom"]], CUTOFF)
    assert edges.edge_index.shape == (2, 0)
    assert edges.edge_shift.shape == (0, 3)
    assert find_edges_of_many([], CUTOFF) == []


def test_large_structures_have_lists_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    large = sample_from_atoms(bulk("Si", cubic=True) * (2, 2, 1))
    samples = [STRUCTURES["water"], large, STRUCTURES["slab"]]
    assert large.n_atoms > LARGEST["cpu"]
    alone = [find_edges(s.positions, s.cell, s.pbc, CUTOFF) for s in samples]
    monkeypatch.setattr(neighbors_batch, "find_edges", lambda *_: alone[1])
    lists = find_edges_of_many(samples, CUTOFF)
    assert lists[1] is alone[1]
    assert [edge_set(edges) for edges in lists] == [edge_set(edges) for edges in alone]


@pytest.mark.parametrize("limit", [1, 1000, 10**6])
def test_no_list_depends_on_how_many_pairs_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setitem(neighbors_batch.PAIRS_AT_ONCE, "cpu", limit)
    monkeypatch.setitem(neighbors_batch.LARGEST, "cpu", 100)
    check([random_sample(seed, (True, True, True)) for seed in range(12)], "cpu")
