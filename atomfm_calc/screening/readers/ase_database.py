"""ASE databases: SQLite (`.db`) and LMDB (`.aselmdb`), in the order of their ids.

Rows are compressed JSON or numbers; nothing in them can run code. LMDB files of pickled graphs are
refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import lmdb
from ase import Atoms
from ase.db import connect

from atomfm_calc.errors import DataError
from atomfm_calc.screening.readers.record import Broken, Record, plain


class DatabaseFile:
    """An open database; a row is read when it is asked for."""

    def __init__(self, path: Path) -> None:
        """DataError: it is none, or is cut short."""
        try:
            self._open(path)
        except (lmdb.Error, sqlite3.Error) as error:
            raise DataError(f"{path} is no ASE database: {plain(error)}") from error
        self.n_records = len(self._ids)

    def _open(self, path: Path) -> None:
        if path.suffix == ".db":
            self._ids = _sqlite_ids(
                path
            )  # before ASE opens it, which would write into an empty one
            self._database: Any = connect(path, type="db", use_lock_file=False)
        else:
            _check_lmdb(path)
            self._database = connect(
                path, type="aselmdb", readonly=True, use_lock_file=False, readahead=False
            )
            self._ids = list(self._database.ids)

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The rows of a range, in order."""
        for identifier in self._ids[start:stop]:
            yield Record(name=f"#{identifier}", content=self._structure(identifier))

    def _structure(self, identifier: int) -> Atoms | Broken:
        try:
            row = self._database.get(id=identifier)
            atoms: Atoms = row.toatoms()
            stated = {**row.key_value_pairs, **row.data}
        except Exception as error:  # whatever a damaged row makes its decoder raise
            return Broken("unreadable", plain(error))
        for key in ("charge", "multiplicity", "spin"):
            if key in stated:
                atoms.info[key] = stated[key]
        return atoms


def _sqlite_ids(path: Path) -> list[int]:
    address = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM systems ORDER BY id")]


def _check_lmdb(path: Path) -> None:
    """Refuse a file whose last pages are missing: touching one of them would end the process."""
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment:
        needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        there = path.stat().st_size
        if there < needed:
            raise DataError(f"the file is cut short: {there} of {needed} bytes are there")
        with environment.begin() as transaction:
            if transaction.get(b"nextid") is None:
                raise DataError("the file is no ASE database: it has no nextid")
