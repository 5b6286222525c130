"""ASE databases: SQLite (`.db`) and LMDB (`.aselmdb`), row by row from any row on.

A value of an `.aselmdb` file is compressed JSON, one of a `.db` file numbers or JSON; neither can
run code. An LMDB file of pickled graphs, as fairchem made them before, is refused: loading a pickle
runs whatever code its author put in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import lmdb
from ase.db import connect
from ase_db_backends.aselmdb import LMDBDatabase

from atomfm_calc.errors import DataError
from training.datasets.readers.file_format import FileFormat
from training.datasets.readers.frame import Frame, frame_of_row

PICKLED_GRAPHS = (
    "an LMDB file of pickled graphs is not read: loading a pickle runs whatever code stands in it"
)
_OPEN: WeakValueDictionary[Path, Any] = WeakValueDictionary()
"""LMDB files that somebody reads: a process may open each of them once only."""


def read_lmdb_rows(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Rows of an `.aselmdb` file in the order of their ids; deleted ids are no rows."""
    database = _lmdb_database(path)
    metadata = database.metadata
    for identifier in database.ids[start:stop]:
        yield frame_of_row(database.get(id=identifier), path, metadata)


def count_lmdb_rows(path: Path) -> int:
    """Number of rows."""
    return len(_lmdb_database(path).ids)


def _lmdb_database(path: Path) -> Any:
    key = path.resolve()
    database = _OPEN.get(key)
    if database is None:
        _check_lmdb(path)
        database = LMDBDatabase(path, readonly=True, use_lock_file=False, readahead=False)
        _OPEN[key] = database
    return database


def _check_lmdb(path: Path) -> None:
    """Refuse a file whose last pages are missing: touching one of them would end the process."""
    with lmdb.open(
        str(path), subdir=False, readonly=True, lock=False, readahead=False
    ) as environment:
        needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        there = path.stat().st_size
        if there < needed:
            raise DataError(f"the file is cut short: {there} of {needed} bytes are there")
        with environment.begin() as transaction:
            if transaction.get(b"nextid") is None:
                pickled = transaction.get(b"length") is not None
                raise DataError(
                    PICKLED_GRAPHS if pickled else "the file is no ASE database: it has no nextid"
                )


def read_sqlite_rows(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Rows of a `.db` file in the order of their ids."""
    limit = -1 if stop is None else max(stop - start, 0)
    with closing(_sqlite(path)) as connection:
        # before ASE opens it, which would write its tables into a file that has none
        identifiers = connection.execute(
            "SELECT id FROM systems ORDER BY id LIMIT ? OFFSET ?", (limit, start)
        )
        with connect(path, type="db", use_lock_file=False) as database:
            metadata = database.metadata
            for (identifier,) in identifiers:
                yield frame_of_row(database.get(id=identifier), path, metadata)


def count_sqlite_rows(path: Path) -> int:
    """Number of rows."""
    with closing(_sqlite(path)) as connection:
        (number,) = connection.execute("SELECT COUNT(*) FROM systems").fetchone()
    return int(number)


def _sqlite(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


ASE_LMDB: FileFormat[Frame] = FileFormat(
    name="ASE database in LMDB", records=read_lmdb_rows, count=count_lmdb_rows
)
ASE_SQLITE: FileFormat[Frame] = FileFormat(
    name="ASE database in SQLite", records=read_sqlite_rows, count=count_sqlite_rows
)
