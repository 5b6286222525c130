"""What a dataset is: facts for the model card, and where its files are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from training.datasets.readers.extxyz import read_extxyz

MANIFEST = "manifest.json"
"""File of a collection that says which set belongs to which head."""


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
    split: Literal["composition", "random"] = "composition"
    """How structures are held out; random where there are too few compositions to choose from."""
    good_for: tuple[str, ...] = ()
    """Uses that the data supports."""
    not_for: tuple[str, ...] = ()
    """Uses that will fail."""


class Dataset(Protocol):
    """An entry of `DATASETS`."""

    @property
    def info(self) -> DatasetInfo:
        """What it is."""

    def files(self, root: Path) -> list[Path]:
        """The files under `root`, in a fixed order; DataError if there are none."""

    def samples(self, root: Path) -> Iterator[Sample]:
        """All samples in the order of `files`."""


@dataclass(frozen=True, kw_only=True)
class PublishedFiles:
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

    def samples(self, root: Path) -> Iterator[Sample]:
        """All samples in the order of the files."""
        for path in self.files(root):
            yield from read_extxyz(path)


@dataclass(frozen=True, kw_only=True)
class CollectionShards:
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

    def samples(self, root: Path) -> Iterator[Sample]:
        """All samples in the order of the shards."""
        for path in self.files(root):
            yield from read_extxyz(path)


@dataclass(frozen=True, kw_only=True)
class OwnFile:
    """A user's extended XYZ file; `root` is the file itself or a folder of such files."""

    info: DatasetInfo
    """What it is."""

    def files(self, root: Path) -> list[Path]:
        """The file, or all extended XYZ files of a folder by name."""
        if root.is_file():
            return [root]
        endings = ("*.extxyz", "*.xyz", "*.extxyz.gz", "*.xyz.gz")
        paths = sorted({path for ending in endings for path in root.glob(ending)})
        if not paths:
            raise DataError(f"{root} is no file and holds none that ends in {listing(endings)}")
        return paths

    def samples(self, root: Path) -> Iterator[Sample]:
        """All samples in the order of the files."""
        for path in self.files(root):
            yield from read_extxyz(path)
