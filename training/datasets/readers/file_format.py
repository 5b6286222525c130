"""What a reader offers: the records of a file in a fixed order, from any of them on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class FileFormat(Generic[Record]):
    """One file format. A record's number is its place in the file, from 0."""

    name: str
    """For messages and the list of datasets: "ASE LMDB"."""
    records: Callable[[Path, int, int | None], Iterator[Record]]
    """File, first record, end (None: to the last) -> records. Errors other than `DataError` are
    given file and record by the adapter."""
    count: Callable[[Path], int]
    """Number of records in a file."""


def from_the_beginning(
    records: Callable[[Path], Iterator[Record]],
) -> Callable[[Path, int, int | None], Iterator[Record]]:
    """Records of a format that can only be read from the beginning."""

    def sliced(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Record]:
        return itertools.islice(records(path), start, stop)

    return sliced
