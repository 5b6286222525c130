"""Structures in Parquet: also what a stage of a screening hands to the next one.

Columns: `atomic_numbers` (list), `positions` (list of triples, or flat; Å), and if they are there
`cell` (3 x 3 or nine numbers, Å), `pbc` (three), `charge` (e),
`multiplicity` (2S+1), `id`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from ase import Atoms

from atomfm_calc.errors import DataError
from atomfm_calc.screening.readers.record import Broken, Record, plain

REQUIRED = ("atomic_numbers", "positions")
OPTIONAL = ("cell", "pbc", "charge", "multiplicity", "id", "index")


class ParquetFile:
    """An open table; one row group is in memory at a time."""

    def __init__(self, path: Path) -> None:
        """DataError: not a table of structures."""
        self._file = pyarrow.parquet.ParquetFile(path)
        names = self._file.schema_arrow.names
        missing = [name for name in REQUIRED if name not in names]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(names)}")
        self._columns = [name for name in (*REQUIRED, *OPTIONAL) if name in names]
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._first = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.n_records = int(self._first[-1])
        self._group, self._rows = -1, list[dict[str, Any]]()

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The rows of a range, in order."""
        for place in range(start, stop):
            group = int(np.searchsorted(self._first, place, side="right")) - 1
            if group != self._group:
                table = self._file.read_row_group(group, columns=self._columns)
                self._group, self._rows = group, table.to_pylist()
            row = self._rows[place - int(self._first[group])]
            yield Record(
                name=f"#{place}",
                content=_structure(row),
                own_id=row.get("id"),
                index=row.get("index"),
            )


def _structure(row: dict[str, Any]) -> Atoms | Broken:
    try:
        numbers = np.asarray(row["atomic_numbers"], dtype=np.int64)
        atoms = Atoms(numbers=numbers, positions=_numbers(row["positions"]).reshape(-1, 3))
        cell = row.get("cell")
        if cell is not None:
            atoms.cell = _numbers(cell).reshape(3, 3)
        pbc = row.get("pbc")
        atoms.pbc = atoms.cell.rank == 3 if pbc is None else pbc
        for key in ("charge", "multiplicity"):
            if row.get(key) is not None:
                atoms.info[key] = row[key]
    except (TypeError, ValueError) as error:
        return Broken("unreadable", plain(error))
    return atoms


def _numbers(value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(value, dtype=np.float64)  # a null among them becomes NaN
