"""All structures in the memory of the ranks, any of them in the hands of any rank (MPI's door).

The ranks are divided into groups; each group holds every structure once, each of its ranks a slice
of about the same number of bytes, as records (`training/data/record.py`). The slices lie in memory
that the ranks of a node share, so that a rank reads its own and those of its neighbors on the node
by copying, without MPI. An MPI window over the same memory serves the ranks of other nodes: one
contiguous `Get` per record, which the network hardware answers while the owner computes.

The slices never change once they are filled. So one shared lock, taken when the store is built,
lasts until it is closed; a batch costs one flush per rank that is asked and no message besides. No
call in between is collective: ranks may read as much and as little as they like.
"""

from __future__ import annotations

import threading
import time
import zlib
from types import TracebackType
from typing import NamedTuple, cast

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, DataError, TrainingError
from training.data.packed import PackedGraphs
from training.data.record import from_records, record_sizes, to_records
from training.data.source import Index, SampleSource

STRUCTURES_AT_A_TIME = 1024
"""Structures of a slice that are decoded at once while it is filled."""
SILENCE_SECONDS = 0.6
"""How long a rank stays outside MPI when the store tries whether it is read all the same."""
Bytes = NDArray[np.uint8]


class FetchedRecords(NamedTuple):
    """Records one behind the other, out of whoever's memory they come."""

    buffer: Bytes
    """The bytes."""
    offsets: Index
    """Where each record begins [S + 1], the end of the last included."""


def mpi_world_size() -> int:
    """Ranks that MPI knows of: 1 if it was not MPI that launched them."""
    return int(MPI.COMM_WORLD.size)


class StoreSource:
    """A `SampleSource` that is spread over the memory of the ranks.

    Building and closing are collective: all ranks of the communicator do it together. Everything
    that calls MPI, that is everything but `decode`, belongs to the thread that built the store.
    """

    def __init__(
        self,
        source: SampleSource,
        communicator: MPI.Intracomm | None = None,
        *,
        cutoff: float,
        keep_edges: bool = True,
        width: int | None = None,
        share_node_memory: bool = True,
    ) -> None:
        """Fill the store; collective.

        Args:
            source: the same on all ranks; each reads its slice of it, a block at a time.
            communicator: the ranks that read; None: all.
            cutoff: Å; edges that are not kept are built within it when a structure is read.
            keep_edges: keep the edges that `source` gives. Without, the store needs a fraction of
                the memory, and reading takes more time.
            width: ranks in a group, which holds every structure once; must divide the number of
                ranks. None: one group. Smaller groups need more memory, and less of the network.
            share_node_memory: read the slices of ranks on the same node without MPI. False is for
                nodes whose shared memory is too small for the slices.

        Raises:
            ConfigError: `width` does not divide the number of ranks, or MPI cannot read the memory
                of another node while its ranks compute.
            DataError: on every rank, if the ranks have different sources or one could not read its
                slice.
        """
        world = MPI.COMM_WORLD if communicator is None else communicator
        self.files, self.n_atoms, self.n_edges = source.files, source.n_atoms, source.n_edges
        self.cutoff, self.keep_edges = cutoff, keep_edges
        self._thread = threading.get_ident()
        _check_same(source, world)
        self.group = _group_of(world, width)
        self._offsets = np.concatenate(
            [[0], np.cumsum(record_sizes(self.n_atoms, self.n_edges, keep_edges))]
        ).astype(np.int64)
        self.first = _divide(self._offsets, self.group.size)
        """First structure of each rank's slice, and the number of structures [ranks + 1]."""
        self._memory = _Memory(self.group, self._slice_bytes(), share_node_memory)
        try:
            self._fill(source)
            problem = ""
        except Exception as error:  # the others must not wait for this rank for ever
            problem = f"rank {world.rank}: {error}"
        problems = [text for text in world.allgather(problem) if text]
        if problems:
            self._memory.free()
            self.group.Free()
            raise DataError(f"the store could not be filled; {'; '.join(problems)}")
        self._memory.open()
        self._is_open = True
        if not self._memory.owners_answer():
            self.close()
            raise ConfigError(
                "the ranks of this job do not answer reads while they compute, because this MPI "
                "emulates one-sided reads on its network; a rank that waits for data would wait "
                "for ever for one that waits for its gradient. Set MPICH_ASYNC_PROGRESS=1 (Intel "
                "MPI: I_MPI_ASYNC_PROGRESS=1), use an MPI built for the network, or choose a store "
                f"width so small that a group fits on a node (now {self.first.size - 1} ranks)"
            )

    def __len__(self) -> int:
        return len(self.n_atoms)

    def fetch(self, index: Index) -> FetchedRecords:
        """The records of the structures `index` [S], from wherever they are.

        Raises:
            TrainingError: the store is closed, or another thread built it.
            DataError: an index that is not 0 ... number of structures - 1.
        """
        self._check_caller()
        index = np.asarray(index, dtype=np.int64)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise DataError(
                f"structure {int(index[(index < 0) | (index >= len(self))][0])} was asked for; "
                f"the store has 0 to {len(self) - 1}"
            )
        owner = np.searchsorted(self.first, index, side="right") - 1
        starts = self._offsets[index]
        sizes = self._offsets[index + 1] - starts
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        buffer = np.empty(int(offsets[-1]), np.uint8)
        places = starts - self._offsets[self.first[owner]]
        # other nodes first, so that their answers travel while the near ones are copied
        for rank in sorted(set(owner.tolist()), key=self._memory.is_near):
            chosen = np.flatnonzero(owner == rank)
            self._memory.read(rank, places[chosen], sizes[chosen], buffer, offsets[chosen])
        self._memory.wait()
        return FetchedRecords(buffer, offsets)

    def decode(self, fetched: FetchedRecords) -> PackedGraphs:
        """The structures of the records, in their order, with their edges; in any thread."""
        return from_records(fetched.buffer, fetched.offsets, self.cutoff)

    def close(self) -> None:
        """Give the memory back; collective, so it waits until no rank reads any more."""
        if self._is_open:
            self._check_caller()
            self._is_open = False
            self._memory.free()
            self.group.Free()

    def __enter__(self) -> StoreSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # after an error on this rank the others may go on reading: closing would wait for them
        if kind is None or self.group.size == 1:
            self.close()

    def _slice_bytes(self) -> NDArray[np.int64]:
        return np.diff(self._offsets[self.first])

    def _fill(self, source: SampleSource) -> None:
        begin, end = self.first[self.group.rank], self.first[self.group.rank + 1]
        place = 0
        for block in range(int(begin), int(end), STRUCTURES_AT_A_TIME):
            index = np.arange(block, min(block + STRUCTURES_AT_A_TIME, end), dtype=np.int64)
            graphs = source.decode(source.fetch(index))
            wrong = np.flatnonzero(graphs.n_atoms != self.n_atoms[index])
            if len(wrong):
                raise DataError(
                    f"structure {int(index[wrong[0]])} has {graphs.n_atoms[wrong[0]]} atoms, its "
                    f"source states {self.n_atoms[index[wrong[0]]]}; make the source anew"
                )
            # a source may state the edges of a cutoff that is longer than its own
            slots = np.diff(self._offsets[index[0] : index[-1] + 2])
            records, _ = to_records(graphs, self.keep_edges, slots)
            self._memory.own[place : place + len(records)] = records
            place += len(records)

    def _check_caller(self) -> None:
        if not self._is_open:
            raise TrainingError("the store is closed; read from it before close()")
        if threading.get_ident() != self._thread:
            raise TrainingError(
                "only the thread that built the store may fetch from it, because MPI calls must "
                "come from one thread; decode in any"
            )


class _Memory:
    """The slices of a group: shared within a node, behind an MPI window beyond it."""

    def __init__(
        self, group: MPI.Intracomm, n_bytes: NDArray[np.int64], share_node_memory: bool
    ) -> None:
        """`n_bytes` [ranks] of each rank's slice."""
        self._group, self._n_bytes = group, n_bytes
        self._node = _node_of(group) if share_node_memory else _part_of(group, group.rank)
        self._shared = MPI.Win.Allocate_shared(int(n_bytes[group.rank]), 1, comm=self._node)
        # what the processor wrote is read by others: a lock so that Sync is allowed
        self._shared.Lock_all(MPI.MODE_NOCHECK)
        ranks = self._node.group.Translate_ranks(range(self._node.size), group.group)
        self._near = {rank: self._view(place) for place, rank in enumerate(ranks)}
        self.own = self._near[group.rank]
        self._window: MPI.Win | None = None
        self._asked: set[int] = set()

    def open(self) -> None:
        """Make what was written readable by all; collective."""
        self._shared.Sync()
        self._node.Barrier()
        self._shared.Sync()
        if self._node.size < self._group.size:
            self._window = MPI.Win.Create(self.own, 1, comm=self._group)
            self._window.Lock_all(MPI.MODE_NOCHECK)  # nobody locks exclusively

    def owners_answer(self) -> bool:
        """Whether a rank of another node is read while it makes no MPI call; collective."""
        filled = np.flatnonzero(self._n_bytes).tolist()
        far = next((rank for rank in filled if rank not in self._near), -1)
        owner = int(self._group.bcast(far))  # as rank 0 sees it
        if owner < 0:
            return True
        self._group.Barrier()
        if self._group.rank == owner:
            time.sleep(SILENCE_SECONDS)
        seconds = 0.0
        if self._group.rank == 0:
            time.sleep(SILENCE_SECONDS / 6)  # until the owner is out of the barrier, too
            started = time.perf_counter()
            one = np.ones(1, dtype=np.int64)
            self.read(owner, 0 * one, one, np.empty(1, np.uint8), 0 * one)
            self.wait()
            seconds = time.perf_counter() - started
        return bool(self._group.bcast(seconds) < SILENCE_SECONDS / 2)

    def is_near(self, rank: int) -> bool:
        """Whether the slice of `rank` can be read without MPI."""
        return rank in self._near

    def read(self, rank: int, places: Index, sizes: Index, buffer: Bytes, starts: Index) -> None:
        """Copy bytes of the slice of `rank`; there after `wait`.

        Args:
            rank: whose slice.
            places: where each piece begins in the slice [pieces].
            sizes: bytes of each piece [pieces].
            buffer: where the pieces go.
            starts: where each piece begins in `buffer` [pieces].
        """
        pieces = zip(places.tolist(), sizes.tolist(), starts.tolist(), strict=True)
        if rank in self._near:
            content = self._near[rank]
            for place, size, start in pieces:
                buffer[start : start + size] = content[place : place + size]
            return
        assert self._window is not None  # a rank that is not near exists only with a window
        for place, size, start in pieces:
            into = [buffer[start : start + size], MPI.BYTE]
            self._window.Get(into, rank, (place, size, MPI.BYTE))
        self._asked.add(rank)

    def wait(self) -> None:
        """Until everything asked for is there."""
        for rank in self._asked:
            assert self._window is not None
            self._window.Flush(rank)
        self._asked.clear()

    def free(self) -> None:
        """Give the memory back; collective."""
        self._near, self.own = {}, np.empty(0, np.uint8)
        for window in (self._window, self._shared):
            if window is not None:
                window.Unlock_all()
                window.Free()
        self._node.Free()

    def _view(self, place: int) -> Bytes:
        memory, _ = self._shared.Shared_query(place)
        return np.asarray(memory, dtype=np.uint8)


def _check_same(source: SampleSource, world: MPI.Intracomm) -> None:
    sizes = np.stack([source.n_atoms, source.n_edges]).astype(np.int64)
    mark = (len(source), zlib.crc32(sizes.tobytes()))
    marks = world.allgather(mark)
    other = next((rank for rank, found in enumerate(marks) if found != marks[0]), None)
    if other is not None:
        raise DataError(
            f"rank {other} has {marks[other][0]} structures and rank 0 has {marks[0][0]}, or of "
            "other sizes; give every rank the same source"
        )


def _group_of(world: MPI.Intracomm, width: int | None) -> MPI.Intracomm:
    chosen = world.size if width is None else width
    if chosen < 1 or world.size % chosen:
        raise ConfigError(
            f"store width {chosen} does not divide the {world.size} ranks, so a group would hold "
            f"a part of the structures only; give one of {_divisors(world.size)}"
        )
    return _part_of(world, world.rank // chosen)


def _part_of(whole: MPI.Intracomm, part: int) -> MPI.Intracomm:
    return cast("MPI.Intracomm", whole.Split(part, whole.rank))


def _node_of(group: MPI.Intracomm) -> MPI.Intracomm:
    return cast("MPI.Intracomm", group.Split_type(MPI.COMM_TYPE_SHARED, group.rank))


def _divisors(number: int) -> str:
    return ", ".join(str(width) for width in range(1, number + 1) if number % width == 0)


def _divide(offsets: Index, n_ranks: int) -> Index:
    """First structure of each rank [ranks + 1], so that all have about as many bytes."""
    wanted = offsets[-1] * np.arange(n_ranks + 1) / n_ranks
    first = np.searchsorted(offsets, wanted, side="left")
    return np.minimum(first, len(offsets) - 1).astype(np.int64)
