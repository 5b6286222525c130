"""Files and folders of structures as one row of candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from atomfm_calc.errors import DataError, listing, lookup
from atomfm_calc.packages import require
from atomfm_calc.screening.readers.extxyz import ExtxyzFile
from atomfm_calc.screening.readers.record import Broken, BrokenFile, RecordFile, plain
from atomfm_calc.screening.readers.single import SingleFile
from atomfm_calc.screening.structures import Rejection, StructureBlock, block_from_atoms

INDEX_FILE = "index.json"
"""A folder that holds it is one of shards."""


def _open_table(path: Path) -> RecordFile:
    require("pyarrow")
    from atomfm_calc.screening.readers.table import ParquetFile

    return ParquetFile(path)


def _open_sqlite(path: Path) -> RecordFile:
    from atomfm_calc.screening.readers.ase_database import open_sqlite

    return open_sqlite(path)


def _open_lmdb(path: Path) -> RecordFile:
    require("lmdb", "ase_db_backends")
    from atomfm_calc.screening.readers.ase_lmdb import open_lmdb

    return open_lmdb(path)


def _open_shards(path: Path) -> RecordFile:
    require("adios2")
    from atomfm_calc.screening.readers.shards import ShardFolder

    return ShardFolder(path.parent)


FORMATS: dict[str, Callable[[Path], RecordFile]] = {
    ".extxyz": ExtxyzFile,
    ".extxyz.gz": ExtxyzFile,
    ".xyz": ExtxyzFile,
    ".xyz.gz": ExtxyzFile,
    ".cif": SingleFile,
    ".vasp": SingleFile,
    ".xsf": SingleFile,
    ".db": _open_sqlite,
    ".aselmdb": _open_lmdb,
    ".parquet": _open_table,
    INDEX_FILE: _open_shards,
}
"""Ending -> reader; what needs a package of an extra imports it when such a file is opened."""


class FileSource:
    """All records of some files, in the order of the files."""

    def __init__(self, paths: Sequence[str], *, keeps_index: bool = False) -> None:
        """Open and count.

        Args:
            paths: files, folders and patterns.
            keeps_index: whether the column "index" of a table is that of its candidates, as in what
                a stage has left; else they are numbered.

        Raises:
            DataError: a path that is not there, or of no known format.
        """
        self.files = find_files(paths)
        self._keeps_index = keeps_index
        self.content = tuple(f"{path.as_posix()} {path.stat().st_size}" for path in self.files)
        self._opened = [_open(path) for path in self.files]
        self._first = np.concatenate([[0], np.cumsum([file.n_records for file in self._opened])])
        self.n_candidates = int(self._first[-1])

    def read(self, start: int, stop: int) -> StructureBlock:
        """The records of a range; ids are path and place."""
        found: list[tuple[int, str, Atoms]] = []
        rejected: list[Rejection] = []
        for index, name, content in self._records(start, stop):
            if isinstance(content, Broken):
                rejected.append(Rejection(index=index, name=name, **content._asdict()))
            else:
                found.append((index, name, content))
        return block_from_atoms(found, rejected)

    def structures(self) -> Iterator[tuple[str, Atoms]]:
        """Ids and structures as their readers gave them, with `info`; without broken records."""
        for _, name, content in self._records(0, self.n_candidates):
            if not isinstance(content, Broken):
                yield name, content

    def _records(self, start: int, stop: int) -> Iterator[tuple[int, str, Atoms | Broken]]:
        for number in range(
            int(np.searchsorted(self._first, start, side="right")) - 1,
            int(np.searchsorted(self._first, stop, side="left")),
        ):
            first, last = self._first[number : number + 2].tolist()
            begin, end = max(start, first) - first, min(stop, last) - first
            path = self.files[number]
            owner = path.parent if path.name == INDEX_FILE else path
            for place, record in enumerate(self._opened[number].read(begin, end), first + begin):
                index = record.index if self._keeps_index and record.index is not None else place
                name = record.own_id or f"{owner.as_posix()}{record.name}"
                yield index, name, record.content


def find_files(paths: Sequence[str]) -> list[Path]:
    """Files that paths, folders and patterns name, in their order; those of a folder are sorted.

    Raises:
        DataError: a path that is not there, or of no known format, or a folder without any.
    """
    files: list[Path] = []
    for path in paths:
        place = Path(path)
        if place.is_dir():
            found = _in_folder(place)
        elif place.exists():
            found = [place]
        else:
            found = sorted(place.parent.glob(place.name)) if place.name else []
        if not found:
            raise DataError(f"there is no structure file {path}")
        files += found
    unknown = [path.as_posix() for path in files if _ending(path) is None]
    if unknown:
        raise DataError(
            f"{listing(unknown)}: of no known format; endings are {listing(FORMATS)}, "
            "atomfm predict reads one file of any format that ASE knows"
        )
    return files


def _in_folder(folder: Path) -> list[Path]:
    if (folder / INDEX_FILE).is_file():
        return [folder / INDEX_FILE]
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return sorted(path for path in found if _ending(path) and path.name != INDEX_FILE)


def _ending(path: Path) -> str | None:
    return next((ending for ending in FORMATS if path.name.lower().endswith(ending)), None)


def _open(path: Path) -> RecordFile:
    """The reader of a file; a damaged one is a single broken record, and the others go on."""
    try:
        return lookup(FORMATS, _ending(path), "structure format")(path)
    except (DataError, OSError, ValueError, RuntimeError) as error:
        return BrokenFile(plain(error))
