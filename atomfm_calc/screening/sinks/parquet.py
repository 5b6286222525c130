"""Parquet (the pyarrow door): compressed columns that pandas, Polars and DuckDB open at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.files import write_at_once
from atomfm_calc.screening.evaluation import Column, Columns, Ragged


class ParquetSink:
    """One Parquet file per block, compressed with zstd."""

    suffix = ".parquet"

    def write(self, columns: Columns, path: Path) -> str:
        """Write a block under its name at once; returns its SHA-256."""
        table = pyarrow.table({name: to_arrow(column) for name, column in columns.items()})
        buffer = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, buffer, compression="zstd")
        return write_at_once(memoryview(buffer.getvalue()), path)

    def read(self, path: Path, names: list[str] | None = None) -> Columns:
        """Columns of a block, all or some; DataError names a file that cannot be read."""
        try:
            table = pyarrow.parquet.ParquetFile(path).read(columns=names)
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{path} is no readable Parquet file: {error}") from error
        return {name: from_arrow(table[name]) for name in table.column_names}


def to_arrow(column: Column) -> Any:
    """A column as Arrow has it; NaN becomes null, ragged columns become lists."""
    if isinstance(column, Ragged):
        offsets = np.concatenate([[0], np.cumsum(column.counts)]).astype(np.int32)
        return pyarrow.ListArray.from_arrays(offsets, _rows(column.values))
    if isinstance(column, np.ndarray):
        return _rows(column)
    return pyarrow.array(list(column), type=pyarrow.string())


def from_arrow(array: Any) -> Column:
    """The column that `to_arrow` was given; numbers that are null become NaN."""
    whole = array.combine_chunks()
    if isinstance(whole, pyarrow.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pyarrow.array([], type=array.type)
    kind = whole.type
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        counts = whole.value_lengths().to_numpy(zero_copy_only=False)
        return Ragged(_values(whole.flatten()), counts.astype(np.int64))
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        return whole.to_pylist()
    return _values(whole)


def _rows(values: NDArray[np.generic]) -> Any:
    """Numbers [n, ...]; further dimensions become lists of fixed size."""
    flat = pyarrow.array(np.ascontiguousarray(values).reshape(-1), from_pandas=values.ndim == 1)
    for size in values.shape[:0:-1]:
        flat = pyarrow.FixedSizeListArray.from_arrays(flat, size)
    return flat


def _values(array: Any) -> NDArray[np.generic]:
    tail: list[int] = []
    while pyarrow.types.is_fixed_size_list(array.type):
        tail.append(array.type.list_size)
        array = array.flatten()
    numbers: NDArray[np.generic] = array.to_numpy(zero_copy_only=False)
    return numbers.reshape(-1, *tail) if tail else numbers


def iterate_rows(folder: Path, names: Sequence[str] | None = None) -> Iterator[Columns]:
    """The rows of all blocks of a folder, a part at a time, by path; memory stays bounded."""
    dataset = pyarrow.dataset.dataset(
        sorted(str(path) for path in folder.rglob("block-*.parquet")), format="parquet"
    )
    for batch in dataset.to_batches(columns=None if names is None else list(names)):
        yield {
            name: from_arrow(pyarrow.chunked_array([batch[name]])) for name in batch.schema.names
        }
