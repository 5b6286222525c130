"""JSON files of many entries, plain, .bz2 or .gz, read entry by entry in constant memory.

JSON has no index: a file is always read from its beginning, and counting reads all of it.
"""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson

from atomfm_calc.errors import DataError
from training.datasets.readers.file_format import FileFormat, Record, from_the_beginning

JsonObject = dict[str, Any]

OPENERS: dict[str, Callable[[Path], Any]] = {".bz2": bz2.open, ".gz": gzip.open}
"""How a file is opened, by the last part of its name; plain if it is not here."""
BUFFER_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of a table."""

    name: Any
    """From the table's index."""
    values: JsonObject
    """By the names of the columns."""


@dataclass(frozen=True, kw_only=True)
class NestedEntry:
    """One entry of `{outer: {inner: {...}}}`."""

    outer: str
    """Key of the group of entries."""
    inner: str
    """Key of the entry in its group."""
    values: JsonObject
    """The entry."""


def read_entries(path: Path, key: str = "entries") -> Iterator[JsonObject]:
    """Entries of `{"entries": [{...}, ...]}`, as pymatgen writes a list of computed entries.

    Args:
        path: the file.
        key: of the list at the top of the file.

    Raises:
        DataError: the file has no such list, or an empty one.
        ijson.JSONError, EOFError, OSError: the text or its compression is damaged or cut off.
    """
    is_empty = True
    with _open(path) as file:
        entries = ijson.items(file, f"{key}.item", use_float=True, buf_size=BUFFER_BYTES)
        for entry in entries:
            is_empty = False
            yield _object(entry, "an entry")
    if is_empty:
        raise DataError(f'there is nothing in a list "{key}" at the top of the file')


def read_table(path: Path) -> Iterator[TableRow]:
    """Rows of `{"index": [...], "columns": [...], "data": [[...], ...]}`, as pandas splits a table.

    Raises:
        As `read_entries`; DataError: names of rows or columns come after the rows or are missing,
            or a row has more or fewer values than there are columns, or there is a row too few.
    """
    names, columns = _names_of_table(path)
    n_rows = 0
    with _open(path) as file:
        for row in ijson.items(file, "data.item", use_float=True, buf_size=BUFFER_BYTES):
            if not isinstance(row, list) or len(row) != len(columns):
                raise DataError(f"row {n_rows} is {str(row)[:60]!r}; the columns are {columns}")
            if n_rows == len(names):
                raise DataError(f"there are more rows than the {len(names)} names in the index")
            yield TableRow(name=names[n_rows], values=dict(zip(columns, row, strict=True)))
            n_rows += 1
    if n_rows < len(names):
        raise DataError(f"the file ends after {n_rows} of {len(names)} rows")


def _names_of_table(path: Path) -> tuple[list[Any], list[str]]:
    """Names of rows and columns, which pandas writes before the rows."""
    found: dict[str, list[Any]] = {"index": [], "columns": []}
    with _open(path) as file:
        for prefix, event, value in ijson.parse(file, buf_size=BUFFER_BYTES):
            if (prefix, event) == ("data", "start_array"):
                break
            name = prefix.removesuffix(".item")
            if name in found and event in ("string", "number"):
                found[name].append(value)
    if not found["index"] or not found["columns"]:
        raise DataError('there are no lists "index" and "columns" before the rows in "data"')
    return found["index"], found["columns"]


def read_nested_entries(path: Path) -> Iterator[NestedEntry]:
    """Entries of `{outer: {inner: {...}}}`, in the file's order; one group is in memory at a time.

    Raises:
        As `read_entries`; DataError: the file holds no object of objects.
    """
    is_empty = True
    with _open(path) as file:
        groups = ijson.kvitems(file, "", use_float=True, buf_size=BUFFER_BYTES)
        for outer, group in groups:
            for inner, values in _object(group, f"{outer!r}").items():
                is_empty = False
                values = _object(values, f"{outer!r}.{inner!r}")
                yield NestedEntry(outer=outer, inner=inner, values=values)
    if is_empty:
        raise DataError("the file is no object of objects with an entry each")


def _open(path: Path) -> Any:
    return OPENERS[path.suffix](path) if path.suffix in OPENERS else path.open("rb")


def _object(value: Any, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise DataError(f"{what} is {str(value)[:60]!r}, not an object with names")
    return value


def _format(name: str, read: Callable[[Path], Iterator[Record]]) -> FileFormat[Record]:
    return FileFormat(
        name=name, records=from_the_beginning(read), count=lambda path: sum(1 for _ in read(path))
    )


ENTRIES_FORMAT: FileFormat[JsonObject] = _format("JSON list of entries", read_entries)
NESTED_ENTRIES_FORMAT: FileFormat[NestedEntry] = _format(
    "JSON object of entries", read_nested_entries
)
