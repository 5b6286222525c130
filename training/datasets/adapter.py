"""What a dataset is: facts for the model card, where its files are, and how they become samples."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Generic, Literal, Protocol

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from training.datasets.readers.extxyz import EXTXYZ_FORMAT
from training.datasets.readers.file_format import FileFormat, Record

MANIFEST = "manifest.json"
"""File of a collection that says which set belongs to which head."""

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Units:
    """What the files are written in; converted to eV and Å where a sample is made."""

    energy: str = "eV"
    """Key of `ENERGY_UNITS`."""
    length: str = "angstrom"
    """Key of `LENGTH_UNITS`."""
    forces: str = "eV/angstrom"
    """Energy unit / length unit."""
    stress: str = "none"
    """Unit and sign, such as "kbar, compression positive"; none: no stress in the files."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Facts about one dataset at one level of theory; they end up on the model card."""

    name: str
    """Name of the dataset and of the head that learns from it."""
    title: str
    """One line."""
    theory: str
    """Functional or method, basis, dispersion."""
    code: str
    """Program that made the labels."""
    data: str
    """What the structures are and who made them."""
    source: str
    """Paper or DOI."""
    licence: str
    """Licence of the data, and who states it."""
    redistributable: bool
    """Whether weights trained on it may be shipped with the package."""
    energy_zero: str
    """What an energy of zero means."""
    uses_charge: bool = False
    """Whether charge and multiplicity are given and differ from neutral singlets."""
    atom_energies: Mapping[int, float] | None = None
    """Isolated atoms in eV by atomic number, where the source gives them: the references' prior."""
    split: Literal["composition", "random", "group"] = "composition"
    """How structures are held out where the source names no split. Composition keeps trajectories
    and molecules together as well; random and group (`Sample.group`) are for sets of too few
    compositions to choose from."""
    units: Units = field(default_factory=Units)
    """Of the files."""
    doi: str = "not stated"
    """Of the data or its paper."""
    size: str = "not stated"
    """Structures and bytes, as the source says."""
    obtain: str = "files of the project's development data; not for download"
    """How to get the files."""
    good_for: tuple[str, ...] = ()
    """Uses that the data supports."""
    not_for: tuple[str, ...] = ()
    """Uses that will fail."""


class Dataset(Protocol):
    """An entry of `DATASETS`. Records of a file are numbered from 0, in the file's order."""

    @property
    def info(self) -> DatasetInfo:
        """What it is."""

    def files(self, root: Path) -> list[Path]:
        """The files under `root`, in a fixed order; DataError if there are none."""

    def count(self, path: Path) -> int:
        """Number of records in a file."""

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """Samples of the records from `start` to before `stop` of one file, in its order.

        `source` is "file name#record". DataError names file and record that cannot be read.
        """

    def published_split(self, path: Path) -> Split | None:
        """The split that the source puts all of a file into; None: it names none."""


class ExtxyzFiles:
    """Reading, for datasets whose files are extended XYZ in the keys of `read_extxyz`."""

    def count(self, path: Path) -> int:
        """Number of frames."""
        return EXTXYZ_FORMAT.count(path)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """As `Dataset.read`."""
        return EXTXYZ_FORMAT.records(path, start, stop)

    def published_split(self, path: Path) -> Split | None:
        """None: the files come without a split."""
        return None


@dataclass(frozen=True, kw_only=True)
class PublishedFiles(ExtxyzFiles):
    """Files with fixed names in one folder."""

    info: DatasetInfo
    """What it is."""
    names: tuple[str, ...]
    """File names, all needed."""

    def files(self, root: Path) -> list[Path]:
        """The files; DataError names those that are missing."""
        missing = [name for name in self.names if not (root / name).is_file()]
        if missing:
            raise DataError(
                f"dataset {self.info.name!r} needs {listing(missing)} in {root}; "
                "set data.root to the folder that holds them"
            )
        return [root / name for name in self.names]


@dataclass(frozen=True, kw_only=True)
class CollectionShards(ExtxyzFiles):
    """All finished shards of the sets that a collection's manifest assigns to a head."""

    info: DatasetInfo
    """What it is; `info.name` is the head in the manifest."""

    def files(self, root: Path) -> list[Path]:
        """The shards `root/SET/*.extxyz.gz`; DataError if `root` holds none for this head."""
        manifest = root / MANIFEST
        if not manifest.is_file():
            raise DataError(
                f"{root} is no collection: it has no {MANIFEST}; make one with "
                "`python -m training collect` or set data.collection to its folder"
            )
        sets = json.loads(manifest.read_text(encoding="utf-8"))["sets"]
        names = [entry["name"] for entry in sets if entry["head"] == self.info.name]
        paths = [path for name in names for path in sorted((root / name).glob("*.extxyz.gz"))]
        if not paths:
            heads = sorted({entry["head"] for entry in sets})
            raise DataError(
                f"the collection {root} has no shard for {self.info.name!r}; "
                f"its plan has the heads: {listing(heads)}"
            )
        return paths


@dataclass(frozen=True, kw_only=True)
class PublicDataset(Generic[Record]):
    """A dataset as its authors publish it: a file format, and what a record of it means."""

    info: DatasetInfo
    """What it is."""
    patterns: tuple[str, ...]
    """Glob patterns of the files below the root, such as "**/*.aselmdb"."""
    format: FileFormat[Record]
    """How the files are read."""
    sample_of: Callable[[Record], Sample]
    """Record -> sample in eV and Å, without `source`; DataError or ValueError says what is wrong
    with it, without naming file or record."""
    folder: str = ""
    """Folder below the root, or the root itself, that holds this dataset alone, where the source's
    file names do not tell its files from those of others. Empty: anywhere below the root."""
    splits: Mapping[str, Split] = field(default_factory=dict)
    """Folder or beginning of a file's name, as the source calls its splits -> split."""
    split_lists: Mapping[str, Split] = field(default_factory=dict)
    """Text file, in a folder above the files, that names those of a split, one a line -> split."""
    keep: Callable[[Record], bool] | None = None
    """Which records belong to the dataset, if its files hold others as well; those are passed
    over and the numbers of the records stay. None: all."""
    overlapping: tuple[tuple[str, ...], ...] = ()
    """Glob patterns of folders or files that hold the same structures: of each tuple, `files`
    takes no two, so that none is learned twice."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Glob pattern of published files that are not read -> why, and which to use instead."""

    def files(self, root: Path) -> list[Path]:
        """The files by name.

        Raises:
            DataError: there are none, which says how to get them; only such as are not read; or
                the same structures twice.
        """
        if self.folder and root.resolve().name != self.folder:
            root = root / self.folder
        paths = _matches(root, self.patterns)
        if not paths:
            why = [text for pattern, text in self.refused.items() if _matches(root, (pattern,))]
            missing = f"holds no {listing(self.patterns)} of {self.info.name}. {self.info.obtain}"
            raise DataError(f"{root} is no file and {' '.join((missing, *why))}")
        parts = {part for path in paths for part in path.relative_to(root).parts}
        for patterns in self.overlapping:
            found = [one for pattern in patterns for one in sorted(fnmatch.filter(parts, pattern))]
            if sum(bool(fnmatch.filter(parts, pattern)) for pattern in patterns) > 1:
                raise DataError(
                    f"{root} holds the same structures of {self.info.name} more than once: "
                    f"{listing(found)}; keep one of {listing(patterns)}"
                )
        return paths

    def count(self, path: Path) -> int:
        """Number of records in a file."""
        with named_record(path, None):
            return self.format.count(path)

    def read(self, path: Path, start: int = 0, stop: int | None = None) -> Iterator[Sample]:
        """As `Dataset.read`."""
        number = start
        with named_record(path, number):
            records = self.format.records(path, start, stop)
        while True:
            with named_record(path, number):
                record = next(records, None)
                if record is None:
                    return
                if self.keep is None or self.keep(record):
                    sample = replace(self.sample_of(record), source=f"{path.name}#{number}")
                else:
                    sample = None
            if sample is not None:
                yield sample
            number += 1

    def published_split(self, path: Path) -> Split | None:
        """By the lists, else by the beginning of the file's name, else by the nearest folder."""
        for name, split in self.split_lists.items():
            for folder in path.parents:
                if path.name in _names_in(folder / name):
                    return split
        for beginning, split in self.splits.items():
            if path.name.startswith(beginning):
                return split
        folders = (folder.name for folder in path.parents)
        return next((self.splits[name] for name in folders if name in self.splits), None)


def matching_files(root: Path, patterns: tuple[str, ...], otherwise: str) -> list[Path]:
    """Files below `root` that match any of the patterns, by name; DataError ends in `otherwise`."""
    paths = _matches(root, patterns)
    if not paths:
        raise DataError(f"{root} is no file and {otherwise}")
    return paths


def _matches(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


@cache
def _names_in(path: Path) -> frozenset[str]:
    """File names of a list, without folders; nothing if there is no such list."""
    if not path.is_file():
        return frozenset()
    lines = path.read_text(encoding="utf-8").splitlines()
    return frozenset(Path(line.strip()).name for line in lines if line.strip())


@contextmanager
def named_record(path: Path, number: int | None) -> Iterator[None]:
    """Give file and record to every error that comes from reading."""
    place = f"{path}" if number is None else f"{path}#{number}"
    try:
        yield
    except Exception as error:  # a damaged file raises whatever its library raises
        raise DataError(f"{place} cannot be read: {type(error).__name__}: {error}") from error
