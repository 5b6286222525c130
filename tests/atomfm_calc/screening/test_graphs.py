"""Neighbor lists of many structures at once are those of each alone; what is broken is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from numpy.testing import assert_allclose

from atomfm_calc.calculators.budget import BatchBudget
from atomfm_calc.calculators.checks import check_structure
from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.errors import StructureError
from atomfm_calc.graph import edge_vectors, split
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.screening.graphs import list_block
from atomfm_calc.screening.structures import StructureBlock, block_from_atoms
from tests.made.structures import STRUCTURES

CUTOFF = 4.0


def _block(*structures: Atoms) -> StructureBlock:
    return block_from_atoms([(i, f"made#{i}", atoms) for i, atoms in enumerate(structures)])


def _sorted(vectors: torch.Tensor) -> np.ndarray:
    rows = vectors.numpy().round(6)
    return rows[np.lexsort(rows.T)]


def test_lists_of_a_block_are_those_of_each_structure_alone() -> None:
    block = _block(*(atoms_from_sample(sample) for sample in STRUCTURES.values()))
    listed = list_block(block, CUTOFF, 0.0)
    graphs = split(listed.graph(0, len(block), torch.float64))
    for graph, sample in zip(graphs, STRUCTURES.values(), strict=True):
        alone = graph_from_sample(sample, CUTOFF)
        assert_allclose(_sorted(edge_vectors(graph)), _sorted(edge_vectors(alone)), atol=1e-6)


def test_edges_are_sorted_by_center() -> None:
    block = _block(*(atoms_from_sample(sample) for sample in STRUCTURES.values()))
    center = list_block(block, CUTOFF, 0.0).edges.center
    assert (np.diff(center) >= 0).all()


def test_batches_keep_the_budget_and_the_order() -> None:
    block = _block(*[molecule("H2O")] * 5, bulk("Fe").repeat(3), molecule("H2O"))
    ranges = list_block(block, CUTOFF, 0.0).batches(BatchBudget(max_atoms=7, max_edges=10**6))
    assert ranges == [(0, 2), (2, 4), (4, 5), (5, 6), (6, 7)]


def _with(atoms: Atoms, position: float) -> Atoms:
    atoms.positions[-1, 0] = position
    return atoms


BROKEN = {
    "no-atoms": Atoms(),
    "unknown-element": Atoms("X2", positions=[(0, 0, 0), (2, 0, 0)]),
    "not-finite": _with(molecule("H2O"), np.nan),
    "flat-cell": Atoms("Cu", cell=[(3, 0, 0), (0, 3, 0), (3, 3, 0)], pbc=True),
    "too-large": Atoms("Cu", cell=(3.0, 1e5, 1e5), pbc=True),
    "overlap": Atoms("H2", positions=[(0, 0, 0), (0, 0, 0.1)]),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_structure_is_rejected_for_its_reason(reason: str) -> None:
    block = _block(molecule("H2O"), BROKEN[reason], bulk("Cu"))
    listed = list_block(block, CUTOFF, 0.3)
    assert listed.block.names == ("made#0", "made#2")
    (rejection,) = listed.block.rejected
    assert (rejection.index, rejection.name, rejection.reason) == (1, "made#1", reason)
    assert len(listed.n_edges) == 2


@pytest.mark.parametrize("reason", ["no-atoms", "unknown-element", "not-finite", "flat-cell"])
def test_a_calculator_refuses_it_in_the_same_words(reason: str) -> None:
    (rejection,) = list_block(_block(BROKEN[reason]), CUTOFF, 0.3).block.rejected
    with pytest.raises(StructureError) as refusal:
        check_structure(BROKEN[reason])
    assert rejection.detail == str(refusal.value)


@pytest.mark.parametrize("far", [np.inf, 1e9])
def test_an_atom_beyond_all_bounds_is_rejected(far: float) -> None:
    listed = list_block(_block(_with(molecule("H2O"), far)), CUTOFF, 0.3)
    assert listed.block.rejected[0].reason == "not-finite"


def test_a_lattice_vector_shorter_than_the_least_distance_is_an_overlap() -> None:
    needle = Atoms("Cu", cell=[(0.1, 0, 0), (0, 3, 0), (0, 0, 3)], pbc=True)
    assert list_block(_block(needle), CUTOFF, 0.3).block.rejected[0].reason == "overlap"
