"""What lies in a folder of shards, and how it is named.

    FOLDER/HEAD/plan.json          data files, settings and the records of each shard; written first
    FOLDER/HEAD/shard-00012.bp     structures as ADIOS2 columns, by split: train, validation, test
    FOLDER/HEAD/shard-00012.json   its counts and checksums; only a shard that has one is finished
    FOLDER/HEAD/sizes.npy          atoms and edges of every structure
    FOLDER/HEAD/index.json         everything about the shards together; written last

Every file appears complete or not at all: it is written under another name and then renamed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError, DataError
from atomfm_calc.files import write_at_once

SHARD_FORMAT = 1
"""Raised whenever columns or files change their meaning."""
PLAN_FILE, INDEX_FILE, SIZES_FILE = "plan.json", "index.json", "sizes.npy"
SPLITS = ("train", "validation", "test")
"""In the order in which they stand in a shard."""
UNITS = "energy eV, forces eV/angstrom, stress eV/angstrom^3, lengths angstrom, charge e"
"""Of all columns; also an attribute of every shard."""
HASHED_AT_A_TIME = 1 << 24

Content = TypeVar("Content")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ConvertSettings:
    """Everything but the data that decides what the shards hold."""

    cutoff: float = 5.0
    """Å; edges are counted, and stored if wanted, up to this distance."""
    edges: bool = True
    """Store the edges: about eight times the space, and no neighbor search while training."""
    structures_per_shard: int = 10_000
    """Records of the data files that make a shard."""
    split_seed: int = 0
    """Seed of the division."""
    validation_fraction: float = 0.05
    """Part of compositions, groups or structures that chooses between runs."""
    test_fraction: float = 0.05
    """Part that is looked at once, for the card."""
    never_held_out: tuple[str, ...] = ()
    """Compositions that are always trained on, in order of atomic number ("OMg")."""
    max_force: float = 50.0
    """eV/Å; structures with a larger force on any atom are left out."""

    def __post_init__(self) -> None:
        held_out = self.validation_fraction + self.test_fraction
        if min(self.validation_fraction, self.test_fraction) < 0.0 or held_out >= 1.0:
            raise ConfigError(
                f"validation_fraction {self.validation_fraction} and test_fraction "
                f"{self.test_fraction} leave nothing to train on; each is 0 or more, both below 1"
            )
        if self.cutoff <= 0.0 or self.structures_per_shard < 1:
            raise ConfigError(
                f"cutoff is {self.cutoff} and structures_per_shard {self.structures_per_shard}; "
                "both must be above 0"
            )

    @property
    def fractions(self) -> dict[str, float]:
        """Split -> part."""
        train = 1.0 - self.validation_fraction - self.test_fraction
        return dict(zip(SPLITS, (train, self.validation_fraction, self.test_fraction), strict=True))


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class FileRecord:
    """A file as it is meant to be."""

    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal; empty: not computed."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class SourceFile:
    """A data file that was converted."""

    name: str
    """Below the root, with slashes."""
    n_records: int
    """Records in it."""
    content: FileRecord
    """What was in it."""
    split: Literal["train", "validation", "test"] | None
    """The split that its authors put it into."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ShardPart:
    """Successive records of one data file."""

    file: int
    """Place in the list of data files."""
    start: int
    """First record."""
    stop: int
    """Record behind the last."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Plan:
    """Which records go to which shard; follows from files and settings alone."""

    format: int
    """`SHARD_FORMAT`."""
    head: str
    """The head that learns from the shards."""
    dataset: str
    """Key of `DATASETS`."""
    settings: ConvertSettings
    """Of the conversion."""
    files: tuple[SourceFile, ...]
    """In the order in which the column "file" counts them."""
    shards: tuple[tuple[ShardPart, ...], ...]
    """The records of each shard."""
    own: dict[str, str | None] = field(default_factory=dict)
    """Keys and units of a user's files, see `OwnData.meaning`; empty: as the dataset says."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ShardRecord:
    """What a shard holds."""

    name: str
    """"shard-00012", the folder without ending."""
    parts: tuple[ShardPart, ...]
    """Where its structures come from."""
    n_structures: dict[str, int]
    """Split -> number."""
    n_atoms: int
    """Of all its structures."""
    n_edges: int
    """Directed edges up to the cutoff, stored or not."""
    refused: dict[str, int]
    """Reason -> number of records that were left out."""
    files: dict[str, FileRecord]
    """Files of the ADIOS2 folder; empty: no structure was left, there is no folder."""

    @property
    def size(self) -> int:
        """Structures of all splits."""
        return sum(self.n_structures.values())


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Sidecar:
    """The file beside a shard that says it is finished."""

    format: int
    """`SHARD_FORMAT`."""
    record: ShardRecord
    """What the shard holds."""
    summary: dict[str, Any]
    """Of its training structures, see `training.describe`."""
    versions: dict[str, str]
    """Of the packages that made it."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ShardIndex:
    """All shards of a head."""

    format: int
    """`SHARD_FORMAT`."""
    head: str
    """The head that learns from the shards."""
    dataset: str
    """Key of `DATASETS`."""
    info: dict[str, Any]
    """Facts about the dataset when it was converted: the fields of `DatasetInfo`."""
    units: str
    """Of the columns."""
    settings: ConvertSettings
    """Of the conversion."""
    files: tuple[SourceFile, ...]
    """The data files, as the column "file" counts them."""
    shards: tuple[ShardRecord, ...]
    """In the order of their structures' indices."""
    sizes: FileRecord
    """Of `SIZES_FILE`."""
    refused: dict[str, int]
    """Reason -> number of records that were left out."""
    summary: dict[str, Any]
    """Of all training structures, see `training.describe`."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that made it."""
    own: dict[str, str | None] = field(default_factory=dict)
    """Keys and units of a user's files, see `OwnData.meaning`; empty: as the dataset says."""

    @property
    def size(self) -> int:
        """Structures of all splits."""
        return sum(shard.size for shard in self.shards)


def plain(error: Exception) -> str:
    """What an error says, on one line and without the colors of ADIOS2's messages."""
    return re.sub(r"\x1b\[[0-9;]*m|\s+", " ", f"{type(error).__name__}: {error}").strip()


def shard_name(number: int) -> str:
    """The name of a shard, such as "shard-00012"."""
    return f"shard-{number:05d}"


def write_json(content: Any, path: Path) -> None:
    """Write one of the classes above; the file is complete or not there.

    Raises:
        DataError: the disk is full or the folder cannot be written to.
    """
    text = TypeAdapter(type(content)).dump_json(content, indent=1)
    write_bytes(text, path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file that is complete or not there; DataError names it if it cannot be written."""
    try:
        write_at_once(content, path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror}; make room or choose another folder, "
            "then start the same convert again: finished shards are kept"
        ) from error


def read_json(cls: type[Content], path: Path) -> Content:
    """Read what `write_json` wrote; DataError names a file that is missing or damaged."""
    try:
        content: Content = TypeAdapter(cls).validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}; make the shards with "
            "`python -m training convert`"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"{path} is damaged: {where or 'file'}: {first['msg']}; delete it and start the same "
            "convert again"
        ) from error
    found = getattr(content, "format", SHARD_FORMAT)
    if found != SHARD_FORMAT:
        raise DataError(f"{path} has format {found}, this version reads {SHARD_FORMAT}")
    return content


def file_record(path: Path, with_checksum: bool = True) -> FileRecord:
    """Size and checksum that a file has now; OSError if it cannot be read."""
    digest = hashlib.sha256()
    if with_checksum:
        with path.open("rb") as file:
            while block := file.read(HASHED_AT_A_TIME):
                digest.update(block)
    return FileRecord(size=path.stat().st_size, sha256=digest.hexdigest() if with_checksum else "")


def check_files(folder: Path, record: ShardRecord, with_checksums: bool) -> None:
    """Compare the files of a shard with what was recorded when it was made.

    Args:
        folder: of the head.
        record: from the index or the sidecar.
        with_checksums: read all bytes; else only the sizes are compared.

    Raises:
        DataError: names the shard and what is missing, cut off or changed.
    """
    for name, wanted in record.files.items():
        path = folder / f"{record.name}.bp" / name
        again = "bring it back from a copy, or delete the shard's .json and convert again"
        try:
            found = file_record(path, with_checksums)
        except OSError as error:
            raise DataError(
                f"shard {record.name} lacks {path}: {error.strerror}; {again}"
            ) from error
        if found.size != wanted.size:
            raise DataError(
                f"shard {record.name} is damaged: {path} has {found.size} bytes, "
                f"{wanted.size} were written; {again}"
            )
        if with_checksums and found.sha256 != wanted.sha256:
            raise DataError(
                f"shard {record.name} is damaged or another one: {path} has SHA-256 "
                f"{found.sha256[:12]}, {wanted.sha256[:12]} was written; {again}"
            )
