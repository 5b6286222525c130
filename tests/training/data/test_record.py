"""Byte records give back what they were made of, or say that they cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from atomfm_calc.errors import DataError
from tests.training.made import CUTOFF, packed, same_graphs
from training.data.packed import ATOM_COLUMNS, COLUMNS, PackedGraphs
from training.data.record import build_edges, from_records, record_sizes, to_records

ONE_ATOM = 6
"""Index of a structure of one atom without edges in `packed`."""


@pytest.mark.parametrize("index", [range(24), [ONE_ATOM], []], ids=["ragged", "one atom", "none"])
def test_records_with_edges_give_the_same_structures(index: list[int]) -> None:
    graphs = packed().select(np.array(index, dtype=np.int64))
    assert same_graphs(from_records(*to_records(graphs, True)), graphs)


def test_records_without_edges_give_the_same_structures_once_edges_are_built() -> None:
    graphs = packed()
    records, offsets = to_records(graphs, False)
    bare = from_records(records, offsets)
    assert bare.n_edges.sum() == 0
    assert same_graphs(build_edges(bare, CUTOFF), graphs)
    assert len(records) < len(to_records(graphs, True)[0])


def test_a_record_alone_is_the_record_in_the_row() -> None:
    graphs = packed()
    records, offsets = to_records(graphs, True)
    alone, _ = to_records(graphs.select(np.array([7])), True)
    assert np.array_equal(records[offsets[7] : offsets[8]], alone)


def test_edges_that_do_not_fit_their_slot_are_built_again() -> None:
    graphs = packed()
    slots = record_sizes(graphs.n_atoms, graphs.n_edges, True)
    slots[::3] -= np.where(graphs.n_edges > 0, 1, 0)[::3]
    slots[1::3] += 5
    records, offsets = to_records(graphs, True, slots)
    assert np.array_equal(np.diff(offsets), slots)
    assert same_graphs(from_records(records, offsets, CUTOFF), graphs)
    bare = from_records(records, offsets).n_edges == 0
    assert bare.sum() > (graphs.n_edges == 0).sum()


def test_a_slot_must_hold_the_atoms() -> None:
    graphs = packed(3)
    slots = record_sizes(graphs.n_atoms, graphs.n_edges, False)
    slots[1] -= 1
    with pytest.raises(DataError, match="record 1 of 3 .* expected a slot for its atoms"):
        to_records(graphs, False, slots)


@pytest.mark.parametrize("with_edges", [True, False])
def test_where_records_begin_follows_from_the_sizes_alone(with_edges: bool) -> None:
    graphs = packed()
    _, offsets = to_records(graphs, with_edges)
    sizes = record_sizes(graphs.n_atoms, graphs.n_edges, with_edges)
    assert np.array_equal(np.diff(offsets), sizes)


def test_the_layout_is_the_documented_one() -> None:
    graphs = packed().select(np.array([9]))
    records, _ = to_records(graphs, True)
    n_atoms, n_edges = int(graphs.n_atoms[0]), int(graphs.n_edges[0])
    assert len(records) == 119 + 25 * n_atoms + 11 * n_edges
    assert records[:4].tobytes() == b"AFR1"
    assert records[4:16].view("<i4").tolist() == [len(records), n_edges, n_atoms]
    first_atom = records[119 : 119 + 25].tobytes()
    expected = b"".join(graphs.columns[name][0].numpy().tobytes() for name in ATOM_COLUMNS)
    assert first_atom == expected


def test_a_structure_without_labels_keeps_its_gaps() -> None:
    columns = dict(packed(2).columns)
    columns["energy"] = torch.full_like(columns["energy"], float("nan"))
    back = from_records(*to_records(PackedGraphs(columns), True))
    assert torch.isnan(back.columns["energy"]).all()


def test_every_column_comes_back_in_its_own_type() -> None:
    back = from_records(*to_records(packed(3), True))
    assert {name: column.dtype for name, column in back.columns.items()} == COLUMNS


@pytest.mark.parametrize(
    ("n_bytes", "message"),
    [
        (219, "found 219, expected the length that its header"),
        (69, "found 69, expected 119 or more"),
    ],
    ids=["a piece of it", "no whole header"],
)
def test_a_record_that_is_cut_off_is_named(n_bytes: int, message: str) -> None:
    records, offsets = to_records(packed().select(np.array([1, 2, 3, 4, 8])), True)
    offsets[5] = offsets[4] + n_bytes
    with pytest.raises(DataError, match=f"record 4 of 5 is cut off .* {message}"):
        from_records(records[: offsets[5]], offsets)


def test_fewer_bytes_than_the_offsets_state_are_refused() -> None:
    records, offsets = to_records(packed(3), True)
    with pytest.raises(DataError, match=f"cut off: {len(records) - 1} bytes came of"):
        from_records(records[:-1], offsets)


def test_bytes_of_something_else_are_refused() -> None:
    records, offsets = to_records(packed(3), True)
    records[offsets[1]] += 1
    with pytest.raises(DataError, match="record 1 of 3 is cut off or no record of this version"):
        from_records(records, offsets)


def test_a_header_that_counts_wrongly_is_refused() -> None:
    records, offsets = to_records(packed(3), True)
    records[offsets[2] + 12] += 1  # the number of atoms
    with pytest.raises(DataError, match="record 2 of 3 .* expected what its atoms and edges need"):
        from_records(records, offsets)
