"""PyTorch Geometric gets our structures, and gives them back as they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch as JoinedData
from torch_geometric.data import Data
from torch_geometric.nn import SimpleConv

from atomfm_calc.errors import DataError
from atomfm_calc.graph import edge_vectors
from tests.training.made import CUTOFF, crystal, packed, samples
from training.data.loader import Assembler, Batch
from training.data.pyg import FIELDS, from_pyg, sample_to_pyg, to_pyg
from training.data.source import MemorySource

RAGGED = [6, 0, 3, 5, 4]
"""One atom, a crystal, and clusters of several sizes, the first without edges."""


def _batch(index: list[int]) -> Batch:
    graphs = packed()
    return Assembler(MemorySource(graphs, ["made"]), np.arange(len(graphs)) % 2).batch(
        np.array(index)
    )


def _check_same(found: Batch, wanted: Batch) -> None:
    for name in wanted.graph._fields:
        assert torch.equal(getattr(found.graph, name), getattr(wanted.graph, name)), name
        assert getattr(found.graph, name).dtype == getattr(wanted.graph, name).dtype, name
    for name, target in wanted.targets.items():
        assert torch.equal(found.targets[name].nan_to_num(), target.nan_to_num()), name
        assert torch.equal(found.targets[name].isnan(), target.isnan()), name
    assert torch.equal(found.head, wanted.head)
    assert found.sources == wanted.sources


@pytest.mark.parametrize("index", RAGGED)
def test_one_structure_comes_back_as_it_was(index: int) -> None:
    batch = _batch([index])
    _check_same(from_pyg(to_pyg(batch)[0]), batch)


def test_structures_that_pyg_has_joined_come_back_as_they_were() -> None:
    batch = _batch(RAGGED)
    _check_same(from_pyg(JoinedData.from_data_list(to_pyg(batch))), batch)


def test_a_label_that_the_first_structure_lacks_is_kept() -> None:
    joined = JoinedData.from_data_list(to_pyg(_batch([0, 1])))  # a crystal without forces first
    n_atoms = joined.ptr.diff().tolist()
    assert joined.forces.isnan().all(dim=1).tolist() == [True] * n_atoms[0] + [False] * n_atoms[1]


def test_edges_lead_from_the_neighbor_to_the_center_with_their_shift() -> None:
    batch = _batch([0, 4])
    joined = JoinedData.from_data_list(to_pyg(batch))
    neighbor, center = joined.edge_index
    cells = joined.cell[joined.batch[center]]
    shift = torch.einsum("ei,eij->ej", joined.edge_shift, cells)
    vectors = joined.pos[neighbor] + shift - joined.pos[center]
    torch.testing.assert_close(vectors, edge_vectors(batch.graph), rtol=0.0, atol=1e-6)
    assert joined.edge_shift.abs().max() > 0.0


def test_a_layer_of_pyg_gathers_at_the_center() -> None:
    batch = _batch(RAGGED)
    center, neighbor = batch.graph.edge_index
    values = torch.arange(float(len(batch.graph.batch)))[:, None]
    expected = torch.zeros_like(values).index_add(0, center, values[neighbor])
    joined = JoinedData.from_data_list(to_pyg(batch))
    found = SimpleConv(aggr="sum")(values, joined.edge_index)
    assert torch.equal(found, expected)


def test_edges_in_another_order_are_sorted_by_center() -> None:
    batch = _batch([5])
    data = to_pyg(batch)[0]
    order = torch.randperm(data.edge_index.shape[1], generator=torch.manual_seed(0))
    data.edge_index, data.edge_shift = data.edge_index[:, order], data.edge_shift[order]
    center = from_pyg(data).graph.edge_index[0]
    assert torch.equal(center, batch.graph.edge_index[0])


def test_a_sample_becomes_an_object_of_pyg() -> None:
    data = sample_to_pyg(samples(8)[5], CUTOFF, head=1)
    _check_same(from_pyg(data), _batch([5]))


def test_a_sample_that_cannot_be_right_is_refused() -> None:
    with pytest.raises(DataError, match="made#0: no atoms"):
        sample_to_pyg(replace(crystal(0), atomic_numbers=np.zeros(0, dtype=int)), CUTOFF)


@pytest.mark.parametrize("name", [*FIELDS, "edge_index", "source"])
def test_a_missing_field_is_named(name: str) -> None:
    data = to_pyg(_batch([1]))[0]
    del data[name]
    with pytest.raises(DataError, match=f"lacks {name};"):
        from_pyg(data)


def test_an_unknown_field_is_named() -> None:
    data = to_pyg(_batch([1]))[0]
    data.y = torch.zeros(1)
    with pytest.raises(DataError, match="has the unknown y;"):
        from_pyg(data)


def test_a_field_of_another_shape_is_named() -> None:
    data = to_pyg(_batch([1]))[0]
    data.cell = data.cell[0]
    with pytest.raises(DataError, match=r"'cell' has shape \(3, 3\), not \(1, 3, 3\)"):
        from_pyg(data)


@pytest.mark.parametrize("name", FIELDS)
def test_pyg_neither_shifts_nor_turns_a_field(name: str) -> None:
    assert Data().__inc__(name, torch.zeros(1)) == 0
    assert Data().__cat_dim__(name, torch.zeros(1)) == 0
