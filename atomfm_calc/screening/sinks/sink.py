"""What every sink does, and how a file comes into being at once."""

from __future__ import annotations

import hashlib
import os
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


def write_at_once(content: bytes | memoryview, path: Path) -> str:
    """Write a file that is there completely or not at all, even after a power cut; its SHA-256."""
    partial = partial_name(path)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)
    return hashlib.sha256(content).hexdigest()


def partial_name(path: Path) -> Path:
    """A name of this process that no reader of the folder takes for results."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def sync_folder(folder: Path) -> None:
    """Let a rename reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
