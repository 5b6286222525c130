"""One open shard: successive rows of its columns.

ADIOS2 2.12 waits for ever for bytes that a cut-off file does not have, so sizes are compared before
a shard is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import adios2.bindings as adios
import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from training.data.packed import ATOM_COLUMNS, COLUMNS, EDGE_COLUMNS, STRUCTURE_COLUMNS
from training.shards.layout import ShardRecord, check_files, plain

TAILS = {"cell": (3, 3), "stress": (3, 3), "pbc": (3,)} | dict.fromkeys(
    ("positions", "forces", "edge_shift"), (3,)
)
"""Column -> shape of a row; () where absent."""
Columns = dict[str, NDArray[np.generic]]
Runs = Sequence[tuple[int, int]]
"""Successive structures: first, and the one behind the last."""


def empty(name: str, n_rows: int) -> NDArray[np.generic]:
    """Room for rows of a column, as it lies in a shard."""
    kind = torch.empty(0, dtype=COLUMNS[name]).numpy().dtype
    stored = np.dtype(np.uint8) if kind == np.bool_ else kind
    return np.empty((n_rows, *TAILS.get(name, ())), dtype=stored)


class ShardFile:
    """A shard that is open for reading; use from one thread."""

    def __init__(self, folder: Path, record: ShardRecord, head: str) -> None:
        """Open it and read the columns that have a row per structure.

        Args:
            folder: of the head.
            record: from the index.
            head: whose shard it must be.

        Raises:
            DataError: the shard is missing, cut off, or another one; names it.
        """
        check_files(folder, record, with_checksums=False)
        self.path = folder / f"{record.name}.bp"
        self._library = adios.ADIOS()
        self._io = self._library.DeclareIO("shard")
        self._io.SetEngine("BP5")
        self._io.SetParameter("Threads", "1")  # its threads make small reads ten times slower
        try:
            self._engine = self._io.Open(str(self.path), adios.Mode.ReadRandomAccess)
        except RuntimeError as error:
            raise DataError(f"shard {self.path} cannot be opened: {plain(error)}") from error
        self._check_name(record, head)
        found = {name: self._io.InquireVariable(name) for name in COLUMNS}
        self._variables = {name: variable for name, variable in found.items() if variable}
        self.structures = self._read({name: [(0, record.size)] for name in STRUCTURE_COLUMNS})
        """Columns that have a row per structure, all of them."""
        self._first = {
            "atom": _starts(self.structures["n_atoms"]),
            "edge": _starts(self.structures["n_edges"]),
        }

    def rows(self, runs: Runs, with_edges: bool) -> Columns:
        """The columns of the structures of `runs`, one run behind the other.

        Raises:
            DataError: the shard cannot be read; names it.
        """
        chosen = np.concatenate([np.arange(start, stop) for start, stop in runs])
        columns: Columns = {name: rows[chosen] for name, rows in self.structures.items()}
        wanted = dict.fromkeys(ATOM_COLUMNS, "atom")
        if with_edges:
            wanted |= dict.fromkeys(EDGE_COLUMNS, "edge")
        ranges = {
            level: [(int(first[start]), int(first[stop])) for start, stop in runs]
            for level, first in self._first.items()
        }
        return columns | self._read({name: ranges[level] for name, level in wanted.items()})

    def close(self) -> None:
        """Give back the file."""
        self._engine.Close()

    def _check_name(self, record: ShardRecord, head: str) -> None:
        attribute = self._io.InquireAttribute("shard")
        found = attribute.DataString()[0] if attribute else "no name"
        if found != f"{head}/{record.name}":
            self.close()
            raise DataError(
                f"{self.path} holds {found}, not {head}/{record.name}: folders were exchanged; "
                "bring the shard back or convert again"
            )

    def _read(self, wanted: dict[str, list[tuple[int, int]]]) -> Columns:
        columns: Columns = {}
        try:
            for name, ranges in wanted.items():
                columns[name] = empty(name, sum(stop - start for start, stop in ranges))
                self._ask(name, ranges, columns[name])
            self._engine.PerformGets()
        except (RuntimeError, KeyError, ValueError) as error:
            raise DataError(
                f"shard {self.path} cannot be read: {plain(error)}; check it "
                "with `python -m training shards verify`"
            ) from error
        return columns

    def _ask(self, name: str, ranges: list[tuple[int, int]], column: NDArray[np.generic]) -> None:
        place, tail = 0, list(column.shape[1:])
        for start, stop in ranges:
            if stop > start:
                variable = self._variables[name]
                variable.SetSelection(([start] + [0] * len(tail), [stop - start, *tail]))
                # ADIOS2 fills the rows when all columns are fetched together
                target = column[place : place + stop - start]
                self._engine.Get(variable, target, adios.Mode.Deferred)
                place += stop - start


def _starts(counts: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
