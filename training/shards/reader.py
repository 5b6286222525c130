"""`ShardSource`: the structures of a head's shards in any order."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, listing, lookup
from training.data.packed import COLUMNS, EDGE_COLUMNS, PackedGraphs
from training.data.record import build_edges
from training.data.source import Index
from training.shards.layout import (
    INDEX_FILE,
    SIZES_FILE,
    SPLITS,
    ShardIndex,
    check_files,
    file_record,
    read_json,
)
from training.shards.shard_file import Columns, Runs, ShardFile, empty

Verify = Literal["opened", "sizes", "checksums"]
PART_SIZE = 2000
"""Structures of a part of `training_parts`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FetchedRows:
    """Rows of shards as they were read."""

    columns: tuple[Columns, ...]
    """Of one shard each."""
    order: Index
    """Place of each wanted structure [S] among those that were read."""


class ShardSource:
    """A `SampleSource` on the shards that `python -m training convert` wrote for one head."""

    def __init__(
        self,
        folder: Path,
        cutoff: float,
        *,
        preload: bool = False,
        verify: Verify = "sizes",
        max_open: int = 128,
    ) -> None:
        """Read the index; structures are read when they are fetched.

        Args:
            folder: of the head, with `index.json`.
            cutoff: Å; edges beyond it are dropped, and found if the shards hold none.
            preload: read everything into memory now.
            verify: "sizes": compare the sizes of all files now; "checksums": all bytes; "opened":
                the sizes of a shard's files when it is opened, which is done in any case.
            max_open: shards kept open; beyond that the one used longest ago is closed.

        Raises:
            DataError: no index, missing, damaged or exchanged files, or a cutoff beyond that of
                the shards.
        """
        self.folder, self.cutoff = folder, cutoff
        self.index = read_json(ShardIndex, folder / INDEX_FILE)
        """Everything that is known about the shards."""
        stored = self.index.settings.cutoff
        if cutoff > stored:
            raise DataError(
                f"a cutoff of {cutoff} Å was asked for, but {folder} was made for {stored} Å; "
                f"convert again with --cutoff {cutoff} or lower the model's cutoff"
            )
        if verify != "opened":
            verify_shards(folder, self.index, with_checksums=verify == "checksums")
        self.files = tuple(file.name for file in self.index.files)
        self._first = np.cumsum([0, *(shard.size for shard in self.index.shards)])
        sizes = _map_sizes(folder, self.index)
        self.n_atoms, self.n_edges = sizes[0], sizes[1]
        self.max_open = max_open
        self._open: OrderedDict[int, ShardFile] = OrderedDict()
        self._memory: PackedGraphs | None = None
        if preload:
            everything = self._fetch_rows(np.arange(len(self)), self.index.settings.edges)
            self._memory = _graphs(everything.columns)

    def __len__(self) -> int:
        return int(self._first[-1])

    def members(self, split: str) -> Index:
        """Indices of a split's structures, ascending; UnknownNameError names the splits."""
        lookup(dict.fromkeys(SPLITS), split, "split", str(self.folder))
        ranges = [np.arange(run.start, run.stop) for run in self.split_ranges[split]]
        return np.concatenate([np.zeros(0, dtype=np.int64), *ranges])

    @property
    def split_ranges(self) -> dict[str, list[range]]:
        """Split -> indices of its structures in each shard that has any."""
        ranges: dict[str, list[range]] = {split: [] for split in SPLITS}
        for first, shard in zip(self._first.tolist(), self.index.shards, strict=False):
            start = first
            for split in SPLITS:
                stop = start + shard.n_structures.get(split, 0)
                if stop > start:
                    ranges[split].append(range(start, stop))
                start = stop
        return ranges

    def fetch(self, index: Index) -> Any:
        """The rows of the structures `index` [S]; DataError names a shard that cannot be read."""
        if self._memory is not None:
            return index
        return self._fetch_rows(np.asarray(index), self.index.settings.edges)

    def decode(self, fetched: Any) -> PackedGraphs:
        """The structures in the order of the index, with all edges within the cutoff."""
        memory = self._memory
        graphs = _in_order(fetched) if memory is None else memory.select(fetched)
        if not self.index.settings.edges:
            return build_edges(graphs, self.cutoff)
        if self.cutoff < self.index.settings.cutoff:
            return drop_long_edges(graphs, self.cutoff)
        return graphs

    def training_parts(self, limit: int | None = None) -> Iterator[PackedGraphs]:
        """Training structures without edges, some at a time, to fit references and scales.

        Args:
            limit: structures at most, evenly spaced over all training structures; None: all.
        """
        chosen = self.members("train")
        if limit is not None and limit < len(chosen):
            chosen = chosen[(np.arange(limit) * len(chosen)) // limit]
        for start in range(0, len(chosen), PART_SIZE):
            index = chosen[start : start + PART_SIZE]
            if self._memory is None:
                yield _in_order(self._fetch_rows(index, with_edges=False))
            else:
                yield without_edges(self._memory.select(index))

    def close(self) -> None:
        """Close all shards; fetching opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def _fetch_rows(self, index: Index, with_edges: bool) -> FetchedRows:
        if len(index) and (index.min() < 0 or index.max() >= len(self)):
            raise DataError(
                f"{self.folder} has structures 0 to {len(self) - 1}; {index.min()} to "
                f"{index.max()} were asked for"
            )
        sorting = np.argsort(index, kind="stable")
        ordered = index[sorting]
        owner = np.searchsorted(self._first, ordered, side="right") - 1
        columns = []
        for number in np.unique(owner).tolist():
            rows = ordered[owner == number] - self._first[number]
            columns.append(self._shard(number).rows(_runs(rows), with_edges))
        return FetchedRows(columns=tuple(columns), order=np.argsort(sorting, kind="stable"))

    def _shard(self, number: int) -> ShardFile:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        while len(self._open) >= self.max_open:
            self._open.popitem(last=False)[1].close()
        shard = ShardFile(self.folder, self.index.shards[number], self.index.head)
        self._open[number] = shard
        return shard


def verify_shards(folder: Path, index: ShardIndex, *, with_checksums: bool) -> None:
    """Compare all files of a head with its index; DataError lists every shard that is damaged."""
    problems = []
    for shard in index.shards:
        try:
            check_files(folder, shard, with_checksums)
        except DataError as error:
            problems.append(str(error))
    try:
        intact = file_record(folder / SIZES_FILE, with_checksums).size == index.sizes.size and (
            not with_checksums or file_record(folder / SIZES_FILE) == index.sizes
        )
    except OSError:
        intact = False
    if not intact:
        problems.append(
            f"{folder / SIZES_FILE} is missing or damaged; start the same convert again"
        )
    if problems:
        raise DataError(listing(problems))


def drop_long_edges(graphs: PackedGraphs, cutoff: float) -> PackedGraphs:
    """The same structures without the edges of `cutoff` Å and more."""
    graph, _ = graphs.join()
    owner = np.repeat(np.arange(len(graphs)), graphs.n_edges)
    center, neighbor = graph.edge_index
    positions, cell = graph.positions.double(), graph.cell.double()[owner]
    shift = torch.einsum("ei,eij->ej", graph.edge_shift.double(), cell)
    vectors = positions[neighbor] - positions[center] + shift  # [E, 3]
    near = torch.linalg.vector_norm(vectors, dim=1) < cutoff
    counts = np.bincount(owner[near.numpy()], minlength=len(graphs)).astype(np.int32)
    kept = {name: graphs.columns[name][near] for name in EDGE_COLUMNS}
    return PackedGraphs({**graphs.columns, **kept, "n_edges": torch.from_numpy(counts)})


def without_edges(graphs: PackedGraphs) -> PackedGraphs:
    """The same structures without any edge."""
    none = {name: graphs.columns[name][:0] for name in EDGE_COLUMNS}
    counts = torch.zeros_like(graphs.columns["n_edges"])
    return PackedGraphs({**graphs.columns, **none, "n_edges": counts})


def _runs(rows: Index) -> Runs:
    """Ascending row numbers as ranges of successive ones."""
    ends = np.flatnonzero(np.diff(rows) != 1) + 1
    starts = rows[np.concatenate([[0], ends])]
    stops = rows[np.concatenate([ends, [len(rows)]]) - 1] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def _in_order(fetched: FetchedRows) -> PackedGraphs:
    graphs, order = _graphs(fetched.columns), fetched.order
    return graphs if np.array_equal(order, np.arange(len(order))) else graphs.select(order)


def _graphs(parts: tuple[Columns, ...]) -> PackedGraphs:
    columns: dict[str, torch.Tensor] = {}
    for name in COLUMNS:
        rows = [part[name] for part in parts if name in part]
        columns[name] = torch.from_numpy(np.concatenate(rows) if rows else empty(name, 0))
    columns["pbc"] = columns["pbc"].bool()
    graphs = PackedGraphs(columns)
    return graphs if all("center" in part for part in parts) else without_edges(graphs)


def _map_sizes(folder: Path, index: ShardIndex) -> NDArray[np.int64]:
    """Atoms and edges of all structures [2, structures], read from the disk when looked at."""
    path = folder / SIZES_FILE
    try:
        sizes: NDArray[np.int64] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; start the same convert again") from error
    if sizes.shape != (2, index.size):
        raise DataError(
            f"{path} has shape {sizes.shape}, the index lists {index.size} structures; "
            "start the same convert again"
        )
    return sizes


def sizes_bytes(sizes: NDArray[np.int64]) -> bytes:
    """The content of `SIZES_FILE` for atoms and edges [2, structures]."""
    buffer = io.BytesIO()
    np.save(buffer, sizes)
    return buffer.getvalue()
