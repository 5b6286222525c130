"""What every sink does."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from atomfm_calc.screening.evaluation import Columns


class Sink(Protocol):
    """Writes and reads the rows of one block."""

    suffix: str
    """Of its files."""

    def write(self, columns: Columns, path: Path) -> str:
        """Write a block under its name at once; returns its SHA-256.

        A file of that name is replaced.
        """
        ...

    def read(self, path: Path, names: list[str] | None = None) -> Columns:
        """Columns of a block, all or some."""
        ...
