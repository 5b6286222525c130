"""Shards that `python -m training convert` wrote, read by their format, not by its code.

A folder holds `index.json`; its list "shards" gives names and sizes. A shard NAME.bp is an ADIOS2
BP5 folder with a row per structure of n_atoms, cell [3, 3] Å, pbc [3], charge, multiplicity, and a
row per atom of atomic_numbers and positions [3] Å.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from adios2 import FileReader
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.screening.readers.record import Broken, Record, plain

KNOWN_FORMAT = 1
PER_STRUCTURE = ("n_atoms", "cell", "pbc", "charge", "multiplicity")
PER_ATOM = ("atomic_numbers", "positions")


class ShardFolder:
    """The shards of one head; one shard is in memory at a time."""

    def __init__(self, folder: Path) -> None:
        """DataError: not shards, or of another format."""
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            shards = [
                (shard["name"], shard["n_structures"], shard["files"]) for shard in index["shards"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder} has no index of shards: {plain(error)}") from error
        if index.get("format") != KNOWN_FORMAT:
            raise DataError(f"{folder} has format {index.get('format')}, known is {KNOWN_FORMAT}")
        self._folder = folder
        self._shards = [
            (name, {key: file["size"] for key, file in files.items()}) for name, _, files in shards
        ]
        sizes = [sum(numbers.values()) for _, numbers, _ in shards]
        self._first = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.n_records = int(self._first[-1])
        self._number, self._columns = -1, dict[str, NDArray[Any]]()

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The structures of a range, in order."""
        for place in range(start, stop):
            number = int(np.searchsorted(self._first, place, side="right")) - 1
            row = place - int(self._first[number])
            name = f"{self._shards[number][0]}#{row}"
            yield Record(name=f"/{name}", content=self._structure(number, row))

    def _structure(self, number: int, row: int) -> Atoms | Broken:
        try:
            columns = self._load(number)
        except (DataError, RuntimeError, ValueError, OSError) as error:
            return Broken("unreadable", plain(error))
        first = int(columns["n_atoms"][:row].sum())
        atoms = slice(first, first + int(columns["n_atoms"][row]))
        structure = Atoms(
            numbers=columns["atomic_numbers"][atoms].astype(np.int64),
            positions=columns["positions"][atoms].astype(np.float64),
            cell=columns["cell"][row].astype(np.float64),
            pbc=columns["pbc"][row].astype(bool),
        )
        for key in ("charge", "multiplicity"):
            structure.info[key] = float(columns[key][row])
        return structure

    def _load(self, number: int) -> dict[str, NDArray[Any]]:
        if number != self._number:
            name, files = self._shards[number]
            path = self._folder / f"{name}.bp"
            for inner, size in files.items():  # ADIOS2 waits for ever for bytes that are missing
                if (path / inner).stat().st_size != size:
                    raise DataError(f"{path / inner} is cut short or exchanged")
            with FileReader(str(path)) as reader:
                self._columns = {
                    key: np.asarray(reader.read(key)) for key in (*PER_STRUCTURE, *PER_ATOM)
                }
            self._number = number
        return self._columns
