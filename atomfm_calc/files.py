"""How a file comes into being at once: it is there completely, or as it was before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_at_once(content: bytes | memoryview, path: Path) -> str:
    """Write a file that is there completely or not at all, even after a power cut; its SHA-256.

    Raises:
        OSError: it cannot be written; what had its name is as it was.
    """
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; on leaving, the file of that name takes the place of `path`.

    If an error comes instead, or the file does not reach the disk, `path` is as it was and nothing
    else is left.
    """
    partial = partial_name(path)
    try:
        yield partial
        sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


def partial_name(path: Path) -> Path:
    """A name of this process that no reader of the folder takes for results."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def sync(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
