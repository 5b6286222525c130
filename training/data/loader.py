"""`Batch`, and the loaders that make batches out of a source, some of them ahead of their use.

The thread that asks for batches draws and fetches them (MPI calls must come from one thread); a
worker decodes and joins what was fetched while that thread computes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.errors import DataError, TrainingError, listing
from atomfm_calc.graph import AtomicGraph
from training.config import BatchLimits
from training.data.batching import fixed_batches
from training.data.source import Index, SampleSource

MAX_STRUCTURES_NAMED = 5


class Batch(NamedTuple):
    """S labeled structures of several heads."""

    graph: AtomicGraph
    """Inputs."""
    targets: dict[str, Tensor]
    """energy [S] eV float64, forces [N, 3] eV/Å, stress [S, 3, 3] eV/Å³; NaN = no label."""
    head: Tensor
    """[S] int64, position in the model's head names."""
    sources: tuple[str, ...]
    """[S] where each structure comes from: "file#frame"."""


class Sampler(Protocol):
    """Endless batches of indices, with a position that can be saved."""

    def next_batch(self) -> Index:
        """Indices of the next batch [S]."""

    @property
    def samples_seen(self) -> Mapping[str, int]:
        """Structures handed out per head since the beginning; an own copy."""

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON can hold it; an own copy."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved position."""


class Assembler:
    """Indices -> `Batch`."""

    def __init__(self, source: SampleSource, head: NDArray[np.int64]) -> None:
        """`head` [all structures] is the head index of each structure of `source`."""
        if len(head) != len(source):
            raise DataError(
                f"{len(head)} head indices came for {len(source)} structures; give one for each"
            )
        self.source = source
        self.head = torch.from_numpy(np.asarray(head, dtype=np.int64))

    def fetch(self, index: Index) -> Any:
        """What `decode` needs of the structures `index` [S]; from one thread only."""
        return self.source.fetch(index)

    def decode(self, index: Index, fetched: Any) -> Batch:
        """The batch of the structures `index` [S] that were fetched; in any thread."""
        graphs = self.source.decode(fetched)
        graph, targets = graphs.join()
        files = graphs.columns["file"].tolist()
        frames = graphs.columns["frame"].tolist()
        names = self.source.files
        sources = tuple(f"{names[file]}#{frame}" for file, frame in zip(files, frames, strict=True))
        head = self.head.index_select(0, torch.from_numpy(index))
        return Batch(graph=graph, targets=targets, head=head, sources=sources)

    def batch(self, index: Index) -> Batch:
        """The batch of the structures `index` [S], in this thread."""
        return self.decode(index, self.fetch(index))


class _Pending(NamedTuple):
    """A batch that was drawn and fetched."""

    structures: Index
    made: Future[Batch]


class BatchQueue:
    """Batches in the making, in order: fetched when put, decoded by a worker, awaited by `get`."""

    def __init__(self, assembler: Assembler, in_background: bool) -> None:
        """Without `in_background` a batch is decoded when it is put, in the caller's thread."""
        self._assembler = assembler
        self._worker = ThreadPoolExecutor(1, "decode") if in_background else None
        self._pending: deque[_Pending] = deque()
        self._n_taken = 0

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, index: Index) -> None:
        """Begin the batch of the structures `index` [S]; what goes wrong is raised by its `get`."""
        made: Future[Batch] = Future()
        try:
            fetched = self._assembler.fetch(index)
            if self._worker is None:
                made.set_result(self._assembler.decode(index, fetched))
            else:
                made = self._worker.submit(self._assembler.decode, index, fetched)
        except Exception as error:
            made.set_exception(error)
        self._pending.append(_Pending(index, made))

    def get(self) -> Batch:
        """The oldest batch.

        Raises:
            DataError: it could not be fetched or decoded; names the batch and its structures.
        """
        structures, made = self._pending.popleft()
        self._n_taken += 1
        try:
            return made.result()
        except Exception as error:
            named = listing(str(number) for number in structures[:MAX_STRUCTURES_NAMED].tolist())
            raise DataError(
                f"batch {self._n_taken} of this loader ({len(structures)} structures, such as "
                f"{named}) could not be made: {error}"
            ) from error

    def clear(self) -> None:
        """Forget all batches that were not taken."""
        while self._pending:
            self._pending.popleft().made.cancel()

    def close(self) -> None:
        """Forget all batches and end the worker."""
        self.clear()
        if self._worker is not None:
            self._worker.shutdown(wait=True)


class TrainingLoader:
    """Endless mixed batches, with a position that can be saved.

    The position is that of the batches handed out; what was made ahead is made again after a
    resume.
    """

    def __init__(self, assembler: Assembler, sampler: Sampler, prefetch: int = 0) -> None:
        """`prefetch` batches are made ahead, in a thread; 0: none, each when it is asked for."""
        _check_prefetch(prefetch)
        self.assembler = assembler
        self.sampler = sampler
        self.prefetch = prefetch
        self._queue = BatchQueue(assembler, in_background=prefetch > 0)
        self._positions: deque[_Position] = deque()
        self._position = _position_of(sampler)
        self._is_open = True

    def next_batch(self) -> Batch:
        """The next batch.

        Raises:
            DataError: it could not be made; the next call goes on with the batch after it.
            TrainingError: the loader is closed.
        """
        if not self._is_open:
            raise TrainingError("the loader is closed; make another one to go on")
        while len(self._queue) <= self.prefetch:
            index = self.sampler.next_batch()
            self._positions.append(_position_of(self.sampler))
            self._queue.put(index)
        position = self._positions.popleft()
        batch = self._queue.get()
        self._position = position
        return batch

    @property
    def samples_seen(self) -> Mapping[str, int]:
        """Structures handed out per head since the beginning."""
        return self._position.samples_seen

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON can hold it."""
        return self._position.state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved position."""
        self._queue.clear()
        self._positions.clear()
        self.sampler.load_state_dict(state)
        self._position = _position_of(self.sampler)

    def close(self) -> None:
        """End the worker; the source stays open."""
        self._is_open = False
        self._positions.clear()
        self._queue.close()


class _Position(NamedTuple):
    """Where a sampler stood."""

    state: dict[str, Any]
    samples_seen: Mapping[str, int]


def _position_of(sampler: Sampler) -> _Position:
    return _Position(sampler.state_dict(), sampler.samples_seen)


class FixedLoader:
    """The same batches in every pass, for validation and tests."""

    def __init__(
        self, assembler: Assembler, index: Index, limits: BatchLimits, prefetch: int = 0
    ) -> None:
        """Cut `index` into batches within `limits`; `prefetch` as in `TrainingLoader`."""
        _check_prefetch(prefetch)
        source = assembler.source
        self.assembler = assembler
        self.prefetch = prefetch
        self.batches = fixed_batches(index, (source.n_atoms, source.n_edges), limits)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        queue = BatchQueue(self.assembler, in_background=self.prefetch > 0)
        try:
            for index in self.batches:
                queue.put(index)
                if len(queue) > self.prefetch:
                    yield queue.get()
            while len(queue):
                yield queue.get()
        finally:
            queue.close()


def _check_prefetch(prefetch: int) -> None:
    if prefetch < 0:
        raise TrainingError(f"prefetch is {prefetch}; give the number of batches ahead, or 0")
