"""Batches made ahead are the batches made one by one."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, TrainingError
from tests.training.made import HEADS, LIMITS, packed
from training.data.batching import MixedSampler
from training.data.loader import Assembler, Batch, FixedLoader, TrainingLoader
from training.data.packed import PackedGraphs
from training.data.source import MemorySource

GRAPHS = packed()
HEAD = np.arange(len(GRAPHS)) % 2
AHEAD = [0, 1, 3]


class _Source(MemorySource):
    """Remembers which threads worked; cannot decode (or fetch) the structures `bad`."""

    def __init__(self, bad: int = -1, bad_half: str = "decode") -> None:
        super().__init__(GRAPHS, ["made"])
        self.bad, self.bad_half = bad, bad_half
        self.threads: dict[str, set[int]] = {"fetch": set(), "decode": set()}

    def fetch(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        self._note("fetch", index)
        return super().fetch(index)

    def decode(self, fetched: NDArray[np.int64]) -> PackedGraphs:
        self._note("decode", fetched)
        return super().decode(fetched)

    def _note(self, half: str, index: NDArray[np.int64]) -> None:
        self.threads[half].add(threading.get_ident())
        if half == self.bad_half and self.bad in index:
            raise DataError(f"made#{self.bad}: wrong checksum")


def _loader(prefetch: int, source: MemorySource | None = None) -> TrainingLoader:
    index = {name: np.flatnonzero(i == HEAD) for i, name in enumerate(HEADS)}
    sizes = (GRAPHS.n_atoms, GRAPHS.n_edges)
    sampler = MixedSampler(index, dict.fromkeys(HEADS, 0.5), sizes, LIMITS, seed=3)
    return TrainingLoader(Assembler(source or _Source(), HEAD), sampler, prefetch)


def _same(first: Batch, second: Batch) -> bool:
    pairs = [*zip(first.graph, second.graph, strict=True), (first.head, second.head)]
    pairs += [(first.targets[name], second.targets[name]) for name in first.targets]
    equal = all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)
    return equal and first.sources == second.sources


@pytest.mark.parametrize("prefetch", AHEAD)
def test_batches_and_positions_are_those_without_prefetching(prefetch: int) -> None:
    plain, ahead = _loader(0), _loader(prefetch)
    for _ in range(12):
        assert _same(ahead.next_batch(), plain.next_batch())
        assert ahead.state_dict() == plain.sampler.state_dict()
        assert ahead.samples_seen == plain.sampler.samples_seen
    ahead.close()


@pytest.mark.parametrize("prefetch", AHEAD)
def test_a_loader_goes_on_from_the_batches_handed_out(prefetch: int) -> None:
    whole, first, second = _loader(0), _loader(prefetch), _loader(prefetch)
    expected = [whole.next_batch() for _ in range(10)]
    for _ in range(4):
        first.next_batch()
    second.next_batch()  # what it has made ahead must be forgotten
    second.load_state_dict(first.state_dict())
    assert second.samples_seen == first.samples_seen
    assert all(_same(second.next_batch(), batch) for batch in expected[4:])


def test_a_fresh_loader_stands_at_the_beginning() -> None:
    loader = _loader(3)
    start = loader.state_dict()
    first = loader.next_batch()
    loader.load_state_dict(start)
    assert sum(loader.samples_seen.values()) == 0
    assert _same(loader.next_batch(), first)


def test_only_the_caller_fetches_and_only_the_worker_decodes() -> None:
    source = _Source()
    loader = _loader(2, source)
    for _ in range(5):
        loader.next_batch()
    assert source.threads["fetch"] == {threading.get_ident()}
    assert len(source.threads["decode"]) == 1
    assert threading.get_ident() not in source.threads["decode"]


@pytest.mark.parametrize("half", ["fetch", "decode"])
@pytest.mark.parametrize("prefetch", AHEAD)
def test_an_error_comes_with_the_batch_it_belongs_to(prefetch: int, half: str) -> None:
    plain = _loader(0)
    batches = [plain.next_batch() for _ in range(8)]
    bad = next(i for i in range(len(GRAPHS)) if f"made#{i}" in batches[5].sources)
    broken = next(n for n, batch in enumerate(batches) if f"made#{bad}" in batch.sources)
    loader = _loader(prefetch, _Source(bad, half))
    for batch in batches[:broken]:
        assert _same(loader.next_batch(), batch)
    before = loader.state_dict()
    message = rf"batch {broken + 1} of this loader .* made#{bad}: wrong checksum"
    with pytest.raises(DataError, match=message):
        loader.next_batch()
    assert loader.state_dict() == before


@pytest.mark.parametrize("prefetch", AHEAD)
def test_a_fixed_loader_gives_the_same_batches_in_every_pass(prefetch: int) -> None:
    assembler, index = Assembler(_Source(), HEAD), np.arange(23, -1, -1)
    plain = list(FixedLoader(assembler, index, LIMITS))
    ahead = FixedLoader(assembler, index, LIMITS, prefetch)
    for _ in range(2):
        found = list(ahead)
        assert len(found) == len(plain) > 3
        assert all(_same(a, b) for a, b in zip(found, plain, strict=True))
    assert [name for batch in plain for name in batch.sources] == [f"made#{i}" for i in index]


def test_a_pass_that_is_left_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    for _ in FixedLoader(Assembler(_Source(), HEAD), np.arange(24), LIMITS, prefetch=2):
        break
    assert threading.active_count() == before


def test_a_closed_loader_says_so_and_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    loader = _loader(2)
    loader.next_batch()
    loader.close()
    assert threading.active_count() == before
    with pytest.raises(TrainingError, match="the loader is closed"):
        loader.next_batch()


def test_batches_ahead_cannot_be_fewer_than_none() -> None:
    with pytest.raises(TrainingError, match="prefetch is -1"):
        _loader(-1)


def test_every_structure_needs_a_head() -> None:
    arguments: Any = (_Source(), HEAD[:-1])
    with pytest.raises(DataError, match="23 head indices came for 24 structures"):
        Assembler(*arguments)
