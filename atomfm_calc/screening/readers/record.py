"""What every reader gives: records, each a structure or the reason why it is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ase import Atoms


class Broken(NamedTuple):
    """A record that is no structure."""

    reason: str
    """Key of `REASONS`."""
    detail: str
    """What exactly was found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One candidate of a file."""

    name: str
    """What comes behind the path in its id: "#12", or nothing for a file of one structure."""
    content: Atoms | Broken
    """The structure, or why there is none."""
    own_id: str | None = None
    """Id that stands in the file; None: path and name are the id."""
    index: int | None = None
    """Place among the candidates of the first stage, in a table that a stage has left."""


class RecordFile(Protocol):
    """An open file; the same place is always the same record."""

    n_records: int

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The records of a range, in order."""
        ...


class BrokenFile:
    """A file that cannot be opened: one record, quarantined."""

    n_records = 1

    def __init__(self, detail: str) -> None:
        self._detail = detail

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The one record."""
        if start == 0 and stop > 0:
            yield Record(name="", content=Broken("unreadable", self._detail))


def plain(error: BaseException) -> str:
    """An error as one short line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= 200 else f"{text[:200]}..."
