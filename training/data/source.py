"""Where structures come from while a model is trained: memory, shards on disk, or other ranks.

A source is a list of labeled graphs of which only the sizes are held in memory. Getting one has two
halves: `fetch` is called by one thread only (MPI calls must come from one), `decode` by any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.packed import PackedGraphs, concatenate

Index = NDArray[np.int64]


class SampleSource(Protocol):
    """Labeled graphs 0, 1, ... that can be had in any order."""

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the data files that the column "file" counts."""

    @property
    def n_atoms(self) -> Index:
        """Atoms of each structure [all structures]."""

    @property
    def n_edges(self) -> Index:
        """Directed edges of each structure [all structures]."""

    def __len__(self) -> int:
        """Number of structures."""

    def fetch(self, index: Index) -> Any:
        """What `decode` needs of the structures `index` [S]; from one thread only."""

    def decode(self, fetched: Any) -> PackedGraphs:
        """The structures that were fetched, in the order of `index`, with their edges."""

    def close(self) -> None:
        """Let go of files and memory; by all ranks together where they share it."""


class MemorySource:
    """Graphs that are all in memory."""

    def __init__(self, graphs: PackedGraphs, files: Sequence[str]) -> None:
        """`files` are the names that the column "file" counts."""
        self.graphs = graphs
        self.files = tuple(files)
        self.n_atoms, self.n_edges = graphs.n_atoms, graphs.n_edges

    def __len__(self) -> int:
        return len(self.graphs)

    def fetch(self, index: Index) -> Index:
        """The index itself."""
        return index

    def decode(self, fetched: Index) -> PackedGraphs:
        """The structures `fetched` [S]."""
        return self.graphs.select(fetched)

    def close(self) -> None:
        """Nothing to let go of."""


class JoinedSource:
    """Several sources one after the other: the first structure of a part follows the last."""

    def __init__(self, parts: Sequence[SampleSource]) -> None:
        self.parts = tuple(parts)
        self.files = tuple(name for part in parts for name in part.files)
        self.n_atoms = np.concatenate([part.n_atoms for part in parts])
        self.n_edges = np.concatenate([part.n_edges for part in parts])
        self._first = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        self._first_file = np.concatenate([[0], np.cumsum([len(part.files) for part in parts])])

    def __len__(self) -> int:
        return int(self._first[-1])

    def fetch(self, index: Index) -> tuple[Index, list[tuple[int, Any]]]:
        """What each part has to give, and the order of the structures in the result."""
        owner = np.searchsorted(self._first, index, side="right") - 1
        order, fetched = [], []
        for number in np.unique(owner).tolist() or [0]:  # nothing is asked for: of any part
            places = np.flatnonzero(owner == number)
            order.append(places)
            part = self.parts[number].fetch(index[places] - self._first[number])
            fetched.append((number, part))
        return np.argsort(np.concatenate(order), kind="stable"), fetched

    def decode(self, fetched: tuple[Index, list[tuple[int, Any]]]) -> PackedGraphs:
        """The structures in the order of the index."""
        order, parts = fetched
        decoded = []
        for number, part in parts:
            columns = dict(self.parts[number].decode(part).columns)
            columns["file"] = columns["file"] + int(self._first_file[number])
            decoded.append(PackedGraphs(columns))
        joined = concatenate(decoded)
        return joined if np.array_equal(order, np.arange(len(order))) else joined.select(order)

    def close(self) -> None:
        """Close all parts."""
        for part in self.parts:
            part.close()
