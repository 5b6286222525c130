"""HDF5 files of nested groups, as one list of records with random access by number."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, listing
from training.datasets.readers.file_format import FileFormat

Names = tuple[str, ...]
BLOCK_ROWS = 512
"""Records of one group that are in memory at a time."""


def keep_all(path: Path) -> Callable[[Names], bool]:
    """Leave out no group of a file."""
    return lambda names: False


@dataclass(frozen=True, kw_only=True)
class Hdf5Record:
    """One structure of a file."""

    names: Names
    """Of the groups that hold it, the outermost first."""
    values: Mapping[str, NDArray[Any]]
    """Its arrays by their names."""


@dataclass(frozen=True, kw_only=True)
class Hdf5Layout:
    """Where the records of a file are: in groups below groups, in the order of their names."""

    depth: int
    """Levels of groups from `root` to those that hold arrays."""
    root: str = "/"
    """The group in which counting begins."""
    shared: Names = ()
    """Arrays that all records of a group have in common."""
    by_row: Names = ()
    """Arrays with one row for each record of a group; none: each group is one record."""
    left_out: Callable[[Path], Callable[[Names], bool]] = keep_all
    """File -> whether a group, given by its names, is no part of the data."""

    def records(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Hdf5Record]:
        """Records from `start` to before `stop`; groups before `start` are counted, not read.

        Raises:
            DataError: a group or array is missing, or arrays of a group differ in length.
            OSError: the file is no HDF5 file or is cut off.
        """
        with h5py.File(path, "r") as file:
            first = 0  # number of the group's first record
            for names in self._groups(file, path):
                if stop is not None and first >= stop:
                    return
                n_records = self._n_records(file, names)
                begin = max(start - first, 0)
                end = n_records if stop is None else min(stop - first, n_records)
                if begin < end:
                    yield from self._read(file, names, begin, end)
                first += n_records

    def count(self, path: Path) -> int:
        """Number of records, from names and shapes alone."""
        with h5py.File(path, "r") as file:
            return sum(self._n_records(file, names) for names in self._groups(file, path))

    def _groups(self, file: h5py.File, path: Path) -> Iterator[Names]:
        if self.root not in file:
            raise DataError(f"there is no group {self.root!r}; the file has: {listing(file)}")
        is_left_out = self.left_out(path)
        return (
            names for names in _names_below(file[self.root], self.depth) if not is_left_out(names)
        )

    def _n_records(self, file: h5py.File, names: Names) -> int:
        if not self.by_row:
            return 1
        arrays = self._arrays(file, names, self.by_row)
        lengths = {name: array.shape[0] if array.shape else 0 for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the arrays of group {'/'.join(names)} differ in length: {lengths}")
        return lengths[self.by_row[0]]

    def _arrays(self, file: h5py.File, names: Names, wanted: Names) -> dict[str, h5py.Dataset]:
        group = file[self.root]["/".join(names)]
        try:
            return {name: group[name] for name in wanted}
        except KeyError:
            missing = listing(name for name in wanted if name not in group)
            raise DataError(
                f"group {'/'.join(names)} has no {missing}; it has: {listing(group)}"
            ) from None

    def _read(self, file: h5py.File, names: Names, begin: int, end: int) -> Iterator[Hdf5Record]:
        stored = self._arrays(file, names, self.shared)
        shared = {name: np.asarray(array[()]) for name, array in stored.items()}
        if not self.by_row:
            yield Hdf5Record(names=names, values=shared)
            return
        arrays = self._arrays(file, names, self.by_row)
        for block in itertools.count(begin, BLOCK_ROWS):
            if block >= end:
                return
            last = min(block + BLOCK_ROWS, end)
            rows = {name: np.asarray(array[block:last]) for name, array in arrays.items()}
            for row in range(last - block):
                values = {**shared, **{name: array[row] for name, array in rows.items()}}
                yield Hdf5Record(names=names, values=values)


def _names_below(parent: h5py.Group, depth: int, above: Names = ()) -> Iterator[Names]:
    if not isinstance(parent, h5py.Group):
        raise DataError(f"{'/'.join(above)} is no group; the file is of another layout")
    for name in parent:
        if depth == 1:
            yield (*above, name)
        else:
            yield from _names_below(parent[name], depth - 1, (*above, name))


def hdf5_format(layout: Hdf5Layout) -> FileFormat[Hdf5Record]:
    """The format of files with this layout."""
    return FileFormat(name="HDF5", records=layout.records, count=layout.count)
