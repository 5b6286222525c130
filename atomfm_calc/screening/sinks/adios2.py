"""ADIOS2 BP5 (the door): for file systems and tools of large machines; a folder per block.

A column NAME is a variable NAME. Ragged columns have NAME/counts beside it, texts are their UTF-8
bytes as such a column. ADIOS2 needs no MPI here: each rank writes blocks of its own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from adios2 import FileReader, Stream
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.files import partial_name, sync
from atomfm_calc.screening.evaluation import Column, Columns, Ragged

TEXT, RAGGED, PLAIN = "text", "ragged", "plain"


class Adios2Sink:
    """One BP5 folder per block."""

    suffix = ".bp"

    def write(self, columns: Columns, path: Path) -> str:
        """Write a block under its name at once; returns the SHA-256 of its files, by name."""
        partial = partial_name(path)
        shutil.rmtree(partial, ignore_errors=True)
        with Stream(str(partial), "w") as stream:
            stream.write_attribute("columns", list(columns))
            stream.write_attribute("kinds", [_kind(column) for column in columns.values()])
            for name, column in columns.items():
                flat = _flat(column)
                if isinstance(flat, Ragged):
                    _put(stream, f"{name}/counts", flat.counts)
                    _put(stream, name, flat.values)
                else:
                    _put(stream, name, flat)
        shutil.rmtree(path, ignore_errors=True)  # a folder cannot be replaced by a rename
        partial.rename(path)
        sync(path.parent)
        return _sha256(path)

    def read(self, path: Path, names: list[str] | None = None) -> Columns:
        """Columns of a block, all or some; DataError names a folder that cannot be read."""
        try:
            with FileReader(str(path)) as reader:
                known = dict(
                    zip(
                        _texts(reader.read_attribute("columns")),
                        _texts(reader.read_attribute("kinds")),
                        strict=True,
                    )
                )
                wanted = list(known) if names is None else names
                return {name: _column(reader, name, known[name]) for name in wanted}
        except (RuntimeError, ValueError, KeyError) as error:
            raise DataError(f"{path} is no readable block: {error}") from error


def _kind(column: Column) -> str:
    if isinstance(column, Ragged):
        return RAGGED
    return PLAIN if isinstance(column, np.ndarray) else TEXT


def _flat(column: Column) -> NDArray[np.generic] | Ragged:
    """Numbers, or numbers and their counts; booleans become bytes."""
    if isinstance(column, Ragged):
        return column
    if isinstance(column, np.ndarray):
        return column.astype(np.uint8) if column.dtype == np.bool_ else column
    encoded = [text.encode() for text in column]
    return Ragged(
        np.frombuffer(b"".join(encoded), dtype=np.uint8),
        np.array([len(text) for text in encoded], dtype=np.int64),
    )


def _put(stream: Stream, name: str, values: NDArray[np.generic]) -> None:
    shape = list(values.shape)
    if 0 not in shape:  # ADIOS2 has no arrays without elements; a missing one is read as empty
        stream.write(name, np.array(values, order="C"), shape, [0] * len(shape), shape)


def _column(reader: FileReader, name: str, kind: str) -> Column:
    values = _get(reader, name)
    if kind == PLAIN:
        return values
    ragged = Ragged(values, _get(reader, f"{name}/counts").astype(np.int64))
    if kind == RAGGED:
        return ragged
    ends = np.cumsum(ragged.counts)
    content = ragged.values.astype(np.uint8).tobytes()
    starts = ends - ragged.counts
    return [content[start:end].decode() for start, end in zip(starts, ends, strict=True)]


def _get(reader: FileReader, name: str) -> NDArray[np.generic]:
    if name not in reader.available_variables():
        return np.zeros(0)
    return np.asarray(reader.read(name))


def _texts(value: Sequence[str] | str) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
