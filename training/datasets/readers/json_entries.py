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
class NestedEntry:
    """One entry of `{outer: {inner: {...}}}`."""

    outer: str
    """Key of the group of entries."""
    inner: str
    """Key of the entry in its group."""
    values: JsonObject
    """The entry."""


def read_entries(path: Path) -> Iterator[JsonObject]:
    """Entries of `{"entries": [{...}, ...]}`, as pymatgen writes a list of computed entries.

    Raises:
        DataError: the file has no such list, or an empty one.
        ijson.JSONError, EOFError, OSError: the text or its compression is damaged or cut off.
    """
    is_empty = True
    with _open(path) as file:
        entries = ijson.items(file, "entries.item", use_float=True, buf_size=BUFFER_BYTES)
        for entry in entries:
            is_empty = False
            yield _object(entry, "an entry")
    if is_empty:
        raise DataError('there is nothing in a list "entries" at the top of the file')


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
