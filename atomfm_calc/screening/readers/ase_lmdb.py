"""ASE databases in LMDB (`.aselmdb`; the lmdb door): compressed JSON, as fairchem publishes them.

LMDB files of pickled graphs, as fairchem made them before, are refused: they run code.
"""

from __future__ import annotations

from pathlib import Path

import lmdb
from ase.db import connect

from atomfm_calc.errors import DataError
from atomfm_calc.screening.readers.ase_database import DatabaseFile
from atomfm_calc.screening.readers.record import plain


def open_lmdb(path: Path) -> DatabaseFile:
    """An `.aselmdb` file; DataError: it is none, or is cut short."""
    try:
        _check(path)
        database = connect(
            path, type="aselmdb", readonly=True, use_lock_file=False, readahead=False
        )
    except lmdb.Error as error:
        raise DataError(f"{path} is no ASE database: {plain(error)}") from error
    return DatabaseFile(database, list(database.ids))


def _check(path: Path) -> None:
    """Refuse a file whose last pages are missing: touching one of them would end the process."""
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as environment:
        needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        there = path.stat().st_size
        if there < needed:
            raise DataError(f"the file is cut short: {there} of {needed} bytes are there")
        with environment.begin() as transaction:
            if transaction.get(b"nextid") is None:
                raise DataError("the file is no ASE database: it has no nextid")
