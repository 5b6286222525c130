"""Which structures form a batch: within a budget of atoms, edges and structures.

Batches are drawn by numbered streams. A stream's state is a few integers, so that a run can go on
exactly where it stopped, and streams never meet: of a head's shuffled orders, one after the other,
stream w of W takes the places w, w + W, w + 2W, ... What a step sees depends on the number of
streams, not on how many ranks share them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from training.config import BatchLimits
from training.data.permutation import permute

DRAWS_AT_A_TIME = 64


class _Filling:
    """Counts what a batch holds."""

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.structures: list[int] = []
        self.n_atoms = self.n_edges = 0

    def accept(self, structure: int, n_atoms: int, n_edges: int) -> bool:
        if self.structures and (
            self.n_atoms + n_atoms > self.limits.max_atoms
            or self.n_edges + n_edges > self.limits.max_edges
            or len(self.structures) >= self.limits.max_structures
        ):
            return False
        self.structures.append(structure)
        self.n_atoms += n_atoms
        self.n_edges += n_edges
        return True


class Stream(NamedTuple):
    """Which draws a sampler makes."""

    number: int = 0
    """From 0; names the stream in a run."""
    place: int = 0
    """From 0, among the streams that draw from the same heads."""
    n_places: int = 1
    """How many streams draw from the same heads."""


@dataclass(kw_only=True)
class StreamState:
    """Where a stream stands; plain numbers."""

    batch: int = 0
    """Batches handed out."""
    drawn: dict[str, int] = field(default_factory=dict)
    """Structures drawn per head since the beginning."""
    pending: tuple[str, int] | None = None
    """Head and structure that did not fit into the last batch and open the next."""


class MixedSampler:
    """Endless batches of structures drawn from several heads with fixed probabilities."""

    def __init__(
        self,
        structures: Mapping[str, NDArray[np.int64]],
        probabilities: Mapping[str, float],
        sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
        limits: BatchLimits,
        seed: int,
        stream: Stream = Stream(),  # noqa: B008
    ) -> None:
        """Every entry of a head's list is drawn once before any is drawn again.

        The sizes must have passed `check_sizes`: a structure larger than a batch makes a batch of
        its own.

        Args:
            structures: indices per head; one that stands there twice is drawn twice in a pass.
            probabilities: per head, as from `mixing.weights`.
            sizes: atoms and edges of every structure that an index may point to.
            limits: of one batch.
            seed: of the draws.
            stream: which of them.
        """
        self.names = list(structures)
        self.structures = dict(structures)
        self.probabilities = np.array([probabilities[name] for name in self.names])
        self.n_atoms, self.n_edges = sizes
        self.limits, self.seed, self.stream = limits, seed, stream
        self.state = StreamState(drawn=dict.fromkeys(self.names, 0))
        self._ahead: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def next_batch(self) -> NDArray[np.int64]:
        """Indices of the next batch [S]."""
        state, filling = self.state, _Filling(self.limits)
        generator = np.random.default_rng([self.seed, 1, self.stream.number, state.batch])
        if state.pending is not None:
            self._add(filling, state.pending[1])
            state.pending = None
        while state.pending is None:
            for draw in generator.choice(len(self.names), DRAWS_AT_A_TIME, p=self.probabilities):
                name = self.names[draw]
                structure = self._draw(name)
                if not self._add(filling, structure):
                    state.pending = (name, structure)
                    break
        state.batch += 1
        return np.array(filling.structures, dtype=np.int64)

    @property
    def samples_seen(self) -> dict[str, int]:
        """Structures handed out per head since the beginning."""
        seen = dict(self.state.drawn)
        if self.state.pending is not None:
            seen[self.state.pending[0]] -= 1
        return seen

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, as JSON can hold it."""
        state = self.state
        pending = None if state.pending is None else list(state.pending)
        return {"batch": state.batch, "drawn": dict(state.drawn), "pending": pending}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        pending = state["pending"]
        self.state = StreamState(
            batch=state["batch"],
            drawn=dict(state["drawn"]),
            pending=None if pending is None else (str(pending[0]), int(pending[1])),
        )
        self._ahead.clear()

    def _add(self, filling: _Filling, structure: int) -> bool:
        n_atoms, n_edges = int(self.n_atoms[structure]), int(self.n_edges[structure])
        return filling.accept(structure, n_atoms, n_edges)

    def _draw(self, name: str) -> int:
        """The next structure of a head; the order is made for some draws at a time."""
        number = self.state.drawn[name]
        first, structures = self._ahead.get(name, (-DRAWS_AT_A_TIME, np.zeros(0, dtype=np.int64)))
        if not first <= number < first + len(structures):
            first, structures = number, self._order(name, number)
            self._ahead[name] = (first, structures)
        self.state.drawn[name] = number + 1
        return int(structures[number - first])

    def _order(self, name: str, number: int) -> NDArray[np.int64]:
        """Draws `number`, `number` + 1, ... of a head by this stream."""
        members, stream = self.structures[name], self.stream
        draws = np.arange(number, number + DRAWS_AT_A_TIME)
        passes, places = np.divmod(stream.place + stream.n_places * draws, len(members))
        order = np.empty_like(places)
        for number_of_pass in np.unique(passes).tolist():
            key = _key(self.seed, name, number_of_pass)
            chosen = passes == number_of_pass
            order[chosen] = permute(places[chosen], len(members), key)
        return np.asarray(members[order], dtype=np.int64)


class RoundRobin:
    """Several streams in turn: the batches of one rank."""

    def __init__(self, streams: Sequence[MixedSampler]) -> None:
        """`streams` in the order in which each gives one batch."""
        self.streams = tuple(streams)
        self._turn = 0

    def next_batch(self) -> NDArray[np.int64]:
        """Indices of the next batch [S]."""
        stream = self.streams[self._turn]
        self._turn = (self._turn + 1) % len(self.streams)
        return stream.next_batch()

    @property
    def samples_seen(self) -> dict[str, int]:
        """Structures handed out per head since the beginning, by these streams together."""
        total: dict[str, int] = {}
        for stream in self.streams:
            for name, count in stream.samples_seen.items():
                total[name] = total.get(name, 0) + count
        return total

    def state_dict(self) -> dict[str, Any]:
        """State of each stream by its number; only between two rounds, when all stand even."""
        return {str(stream.stream.number): stream.state_dict() for stream in self.streams}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on; `state` may hold streams of other ranks as well."""
        for stream in self.streams:
            stream.load_state_dict(state[str(stream.stream.number)])
        self._turn = 0


def fixed_batches(
    index: NDArray[np.int64],
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    limits: BatchLimits,
) -> list[NDArray[np.int64]]:
    """Cut `index` [S] into batches in its order, for validation."""
    batches, filling = [], _Filling(limits)
    for structure in index.tolist():
        n_atoms, n_edges = int(sizes[0][structure]), int(sizes[1][structure])
        if not filling.accept(structure, n_atoms, n_edges):
            batches.append(np.array(filling.structures, dtype=np.int64))
            filling = _Filling(limits)
            filling.accept(structure, n_atoms, n_edges)
    if filling.structures:
        batches.append(np.array(filling.structures, dtype=np.int64))
    return batches


def check_sizes(
    name: str, n_atoms: NDArray[np.int64], n_edges: NDArray[np.int64], limits: BatchLimits
) -> None:
    """DataError if a structure of head `name` is larger than a batch may be."""
    if len(n_atoms) == 0:
        raise DataError(f"head {name!r} has no structures to train on")
    if n_atoms.max() > limits.max_atoms or n_edges.max() > limits.max_edges:
        raise DataError(
            f"head {name!r} has a structure of {n_atoms.max()} atoms or {n_edges.max()} edges; a "
            f"batch holds {limits.max_atoms} atoms and {limits.max_edges} edges. "
            "Raise batch.max_atoms and batch.max_edges."
        )


def _key(seed: int, name: str, number_of_pass: int) -> int:
    digest = hashlib.sha256(f"{seed}:{name}:{number_of_pass}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
