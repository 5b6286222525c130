"""ASE databases, in the order of their ids; here SQLite (`.db`), `ase_lmdb` has the other kind.

Rows are numbers or JSON; nothing in them can run code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.db import connect

from atomfm_calc.convert import WATCHED_INFO_KEYS
from atomfm_calc.errors import DataError
from atomfm_calc.screening.readers.record import Broken, Record, plain


class DatabaseFile:
    """An open database; a row is read when it is asked for."""

    def __init__(self, database: Any, ids: list[int]) -> None:
        """`database` as ASE opened it, and the ids of its rows."""
        self._database, self._ids = database, ids
        self.n_records = len(ids)

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
        atoms.info.update({key: stated[key] for key in WATCHED_INFO_KEYS if key in stated})
        return atoms


def open_sqlite(path: Path) -> DatabaseFile:
    """A `.db` file; DataError: it is none."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        # before ASE opens it, which would write its tables into a file that has none
        with closing(sqlite3.connect(address, uri=True)) as connection:
            rows = connection.execute("SELECT id FROM systems ORDER BY id").fetchall()
    except sqlite3.Error as error:
        raise DataError(f"{path} is no ASE database: {plain(error)}") from error
    return DatabaseFile(connect(path, type="db", use_lock_file=False), [row[0] for row in rows])
