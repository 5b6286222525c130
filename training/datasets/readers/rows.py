"""Rows of a user's file one by one: a damaged row is told, and the next one is read.

A row keeps every value that stands beside the structure under its name in the file. ASE moves
`energy`, `forces` and `stress` of an extended XYZ file into a calculator; they keep these names.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.extxyz import read_xyz
from ase.io.trajectory import Trajectory

from atomfm_calc.convert import charge_of, multiplicity_of, sample_from_atoms
from atomfm_calc.errors import DataError, listing, lookup
from atomfm_calc.sample import Sample
from training.datasets.readers.ase_database import ASE_LMDB, ASE_SQLITE
from training.datasets.readers.file_format import FileFormat
from training.datasets.readers.frame import Frame

OPENERS: dict[str, Callable[..., Any]] = {"gz": gzip.open, "xz": lzma.open, "bz2": bz2.open}
"""How a text file is opened, by the last part of its name."""
NOT_LABELS = ("numbers", "positions", "key_value_pairs", "data", "unique_id", "comment")
"""What ASE keeps beside the labels."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a file."""

    number: int
    """Place in the file, from 0."""
    structure: Sample | None = None
    """As the file has it: no labels, no units converted; None if the row cannot be read."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Every other value of the row, by its name in the file."""
    charge_is_stated: bool = False
    """Whether the row says its total charge."""
    multiplicity_is_stated: bool = False
    """Whether the row says its multiplicity."""
    problem: str = ""
    """Why the row cannot be read; empty if it can."""


def read_rows(path: Path) -> Iterator[Row]:
    """All rows of a file in its order, those that cannot be read included.

    Raises:
        DataError: no such file, or one that cannot be opened.
        UnknownNameError: an ending that is not in `ROW_READERS`.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    reader = lookup(ROW_READERS, format_of(path), f"file ending for {path.name}", "the reader")
    return reader(path)


def format_of(path: Path) -> str:
    """The ending that says the format, without that of the compression: "extxyz"."""
    parts = path.name.lower().split(".")
    if len(parts) > 1 and parts[-1] in OPENERS:
        parts = parts[:-1]
    return parts[-1] if len(parts) > 1 else ""


def _row(number: int, make: Callable[[], Atoms]) -> Row:
    try:
        atoms = make()
        structure = sample_from_atoms(atoms)
        return Row(
            number=number,
            structure=structure,
            values=_values(atoms),
            charge_is_stated=charge_of(atoms) is not None,
            multiplicity_is_stated=multiplicity_of(atoms) is not None,
        )
    except Exception as error:  # a damaged row raises whatever its parser raises
        return Row(number=number, problem=f"{type(error).__name__}: {error}")


def _values(atoms: Atoms) -> dict[str, Any]:
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    nested = [atoms.info.get(name) for name in ("data", "key_value_pairs")]
    stored = [part for part in nested if isinstance(part, Mapping)]
    values: dict[str, Any] = {}
    for part in (results, *stored, atoms.arrays, atoms.info):
        values.update(part)
    return {
        name: value
        for name, value in values.items()
        if name not in NOT_LABELS and value is not None
    }


def _extxyz_rows(path: Path) -> Iterator[Row]:
    opener = OPENERS.get(path.suffix[1:].lower(), open)
    with opener(path, "rt", encoding="utf-8") as file:
        for number, (frame, problem) in enumerate(_frames(_until_damage(file))):
            if problem:
                yield Row(number=number, problem=problem)
            else:
                yield _row(number, partial(_parsed, "".join(frame)))


def _parsed(frame: str) -> Atoms:
    (atoms,) = read_xyz(io.StringIO(frame), index=slice(None))
    return atoms


def _until_damage(file: Iterator[str]) -> Iterator[str]:
    """Lines; the end of a damaged compressed file is a line that no frame can begin with."""
    try:
        yield from file
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        yield f"the file is damaged from here on: {error}"


def _frames(lines: Iterator[str]) -> Iterator[tuple[list[str], str]]:
    """Lines of each frame and what is wrong with their number; goes on at the next frame."""
    line = next(lines, None)
    while line is not None:
        if not line.strip():
            line = next(lines, None)
            continue
        if not _is_count(line):
            yield [], f"expected the number of atoms, found {line.strip()[:60]!r}"
            line = _next_count(lines)
            continue
        count, frame = int(line), [line, next(lines, "\n")]
        line = next(lines, None)
        while line is not None and len(frame) < count + 2 and not _is_count(line):
            frame.append(line)
            line = next(lines, None)
        while line is not None and line.lstrip().startswith("VEC"):
            frame.append(line)
            line = next(lines, None)
        if len(frame) < count + 2:
            yield [], f"its first line says {count} atoms, but {len(frame) - 2} lines follow"
        elif line is not None and line.strip() and not _is_count(line):
            yield [], f"its first line says {count} atoms, but more lines follow"
            line = _next_count(lines)
        else:
            yield frame, ""


def _next_count(lines: Iterator[str]) -> str | None:
    return next((line for line in lines if _is_count(line)), None)


def _is_count(line: str) -> bool:
    return line.strip().isdecimal()


def _trajectory_rows(path: Path) -> Iterator[Row]:
    try:
        trajectory = Trajectory(str(path))
    except Exception as error:  # a file that is no trajectory fails anywhere in its header
        raise DataError(f"{path} is no ASE trajectory: {type(error).__name__}: {error}") from error
    with closing(trajectory):
        for number in range(len(trajectory)):
            yield _row(number, partial(trajectory.__getitem__, number))


def _sqlite_rows(path: Path) -> Iterator[Row]:
    return _rows_of(ASE_SQLITE, path)


def _lmdb_rows(path: Path) -> Iterator[Row]:
    return _rows_of(ASE_LMDB, path)


def _rows_of(file_format: FileFormat[Frame], path: Path) -> Iterator[Row]:
    """Rows of a database; after one that cannot be read, reading begins anew with the next."""
    try:
        total = file_format.count(path)
    except Exception as error:  # as above
        raise DataError(f"{path} is no {file_format.name}: {error}") from error
    start = 0
    while start < total:
        records = file_format.records(path, start, None)
        for number in range(start, total):
            row = _row(number, partial(_next_atoms, records))
            yield row
            start = number + 1
            if row.problem:
                break


def _next_atoms(records: Iterator[Frame]) -> Atoms:
    frame = next(records)
    atoms = Atoms(
        numbers=frame.atomic_numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc
    )
    atoms.info.update(frame.info)
    atoms.info.update(frame.results)
    return atoms


ROW_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "extxyz": _extxyz_rows,
    "xyz": _extxyz_rows,
    "traj": _trajectory_rows,
    "db": _sqlite_rows,
    "aselmdb": _lmdb_rows,
}
"""By the ending of the file's name."""

COMPRESSED = tuple(f"{name}.{ending}" for name in ("extxyz", "xyz") for ending in OPENERS)
ENDINGS = (*ROW_READERS, *COMPRESSED)
"""Endings of the files that can be read."""


def endings() -> str:
    """The endings for a message."""
    return listing(f".{name}" for name in ENDINGS)
