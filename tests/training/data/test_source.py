"""Sources give structures in the order they were asked for, wherever these are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.made import packed, same_graphs
from training.data.packed import PackedGraphs
from training.data.source import JoinedSource, MemorySource

GRAPHS = packed()
FIRST, SECOND = np.arange(10), np.arange(10, 24)


def _joined() -> JoinedSource:
    parts = [
        MemorySource(_of_file(GRAPHS.select(FIRST), 1), ["a", "b"]),
        MemorySource(_of_file(GRAPHS.select(SECOND), 0), ["c"]),
    ]
    return JoinedSource(parts)


def _of_file(graphs: PackedGraphs, file: int) -> PackedGraphs:
    return PackedGraphs({**graphs.columns, "file": torch.full_like(graphs.columns["file"], file)})


def _without_file(graphs: PackedGraphs) -> PackedGraphs:
    return _of_file(graphs, 0)


@pytest.mark.parametrize("index", [[3, 0, 23, 3], [], [6]], ids=["any order", "none", "one atom"])
def test_memory_gives_structures_in_the_order_asked_for(index: list[int]) -> None:
    source, wanted = MemorySource(GRAPHS, ["made"]), np.array(index, dtype=np.int64)
    assert same_graphs(source.decode(source.fetch(wanted)), GRAPHS.select(wanted))
    assert len(source) == len(source.n_atoms) == len(source.n_edges) == len(GRAPHS)


@pytest.mark.parametrize(
    "index",
    [[0, 1, 2], [12, 23], [9, 10], [10, 9], [23, 3, 11, 3, 0, 10, 9], [17]],
    ids=["first part", "second part", "across", "back across", "mixed and doubled", "one"],
)
def test_joined_parts_give_structures_in_the_order_asked_for(index: list[int]) -> None:
    source, wanted = _joined(), np.array(index)
    found = source.decode(source.fetch(wanted))
    assert same_graphs(_without_file(found), _without_file(GRAPHS.select(wanted)))


def test_joined_parts_count_their_files_one_after_the_other() -> None:
    source = _joined()
    graphs = source.decode(source.fetch(np.array([12, 4])))
    assert [source.files[file] for file in graphs.columns["file"].tolist()] == ["c", "b"]


def test_joined_parts_have_the_sizes_of_all() -> None:
    source = _joined()
    assert len(source) == len(GRAPHS)
    assert np.array_equal(source.n_atoms, GRAPHS.n_atoms)
    assert np.array_equal(source.n_edges, GRAPHS.n_edges)


def test_a_part_without_structures_is_passed_over() -> None:
    nothing = MemorySource(GRAPHS.select(np.zeros(0, dtype=np.int64)), ["none"])
    source = JoinedSource([nothing, _joined(), nothing, MemorySource(packed(2), ["last"])])
    found = source.decode(source.fetch(np.array([24, 0, 23])))
    assert found.n_atoms.tolist() == GRAPHS.n_atoms[[0, 0, 23]].tolist()
    assert [source.files[file] for file in found.columns["file"].tolist()] == ["last", "b", "c"]


def test_joined_sources_decode_nothing_but_what_was_fetched() -> None:
    source = _joined()
    _, parts = source.fetch(np.array([23, 11]))
    assert [number for number, _ in parts] == [1]


def test_no_structures_at_all_come_from_joined_parts() -> None:
    source = _joined()
    assert len(source.decode(source.fetch(np.zeros(0, dtype=np.int64)))) == 0
