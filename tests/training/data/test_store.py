"""The distributed store on one rank; on several: tests/mpi/test_store.py."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, DataError, TrainingError
from tests.training.made import CUTOFF, LIMITS, packed, same_graphs
from training.data import store as store_file
from training.data.loader import Assembler, FixedLoader
from training.data.packed import PackedGraphs
from training.data.source import MemorySource
from training.data.store import StoreSource

GRAPHS = packed()
SOURCE = MemorySource(GRAPHS, ["made"])


def _store(source: MemorySource = SOURCE, **settings: Any) -> StoreSource:
    return StoreSource(source, cutoff=CUTOFF, **settings)


class _Watched(MemorySource):
    """Counts how many structures are decoded at a time; fails at one of them."""

    def __init__(self, bad: int = -1) -> None:
        super().__init__(GRAPHS, ["made"])
        self.bad, self.blocks = bad, []  # type: ignore[var-annotated]

    def decode(self, fetched: NDArray[np.int64]) -> PackedGraphs:
        self.blocks.append(len(fetched))
        if self.bad in fetched:
            raise DataError(f"shard-0003.bp#{self.bad}: wrong checksum")
        return super().decode(fetched)


@pytest.mark.parametrize("keep_edges", [True, False], ids=["edges kept", "edges built"])
@pytest.mark.parametrize("share", [True, False], ids=["shared memory", "own memory"])
def test_the_store_gives_the_structures_of_its_source(keep_edges: bool, share: bool) -> None:
    index = np.array([5, 23, 0, 5, 6])
    with _store(keep_edges=keep_edges, share_node_memory=share) as store:
        assert same_graphs(store.decode(store.fetch(index)), GRAPHS.select(index))
        assert store.files == SOURCE.files
        assert store.n_atoms is SOURCE.n_atoms
        assert len(store) == len(GRAPHS)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_from_the_store_are_those_from_memory(prefetch: int) -> None:
    head, index = np.arange(24) % 2, np.arange(23, -1, -1)
    expected = list(FixedLoader(Assembler(SOURCE, head), index, LIMITS))
    with _store() as store:
        found = list(FixedLoader(Assembler(store, head), index, LIMITS, prefetch))
    assert [batch.sources for batch in found] == [batch.sources for batch in expected]
    for batch, wanted in zip(found, expected, strict=True):
        assert all(map(torch.equal, batch.graph, wanted.graph))
        assert torch.equal(batch.targets["energy"], wanted.targets["energy"])
        assert torch.equal(batch.head, wanted.head)


def test_nothing_at_all_can_be_fetched() -> None:
    with _store() as store:
        assert len(store.decode(store.fetch(np.zeros(0, dtype=np.int64)))) == 0


def test_the_source_is_read_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_file, "STRUCTURES_AT_A_TIME", 10)
    watched = _Watched()
    with _store(watched) as store:
        assert watched.blocks == [10, 10, 4]
        assert same_graphs(store.decode(store.fetch(np.arange(24))), GRAPHS)


def test_a_source_that_cannot_be_read_is_named_with_the_rank() -> None:
    with pytest.raises(DataError, match=r"rank 0: shard-0003\.bp#11: wrong checksum"):
        _store(_Watched(bad=11))


def test_a_source_whose_sizes_are_wrong_is_refused() -> None:
    lying = MemorySource(GRAPHS, ["made"])
    lying.n_atoms = np.where(np.arange(24) == 7, 99, GRAPHS.n_atoms)
    with pytest.raises(DataError, match="structure 7 has 2 atoms, its source states 99"):
        _store(lying)


def test_a_source_may_state_more_edges_or_fewer_than_it_gives() -> None:
    rough = MemorySource(GRAPHS, ["made"])
    rough.n_edges = np.maximum(GRAPHS.n_edges + np.arange(24) % 3 - 1, 0)
    with _store(rough) as store:
        assert same_graphs(store.decode(store.fetch(np.arange(24))), GRAPHS)


@pytest.mark.parametrize("wrong", [-1, 24])
def test_a_structure_that_does_not_exist_is_refused(wrong: int) -> None:
    with _store() as store, pytest.raises(DataError, match=f"{wrong} .* 0 to 23"):
        store.fetch(np.array([3, wrong]))


def test_a_width_that_does_not_divide_the_ranks_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 2 does not divide the 1 ranks"):
        _store(width=2)


def test_a_closed_store_says_so() -> None:
    store = _store()
    fetched = store.fetch(np.arange(3))
    store.close()
    store.close()  # again is no mistake
    assert len(store.decode(fetched)) == 3
    with pytest.raises(TrainingError, match="the store is closed"):
        store.fetch(np.arange(3))


def test_another_thread_may_not_fetch() -> None:
    caught: list[BaseException] = []

    def fetch() -> None:
        try:
            store.fetch(np.arange(3))
        except TrainingError as error:
            caught.append(error)

    with _store() as store:
        thread = threading.Thread(target=fetch)
        thread.start()
        thread.join()
    assert "only the thread that built the store" in str(caught[0])
