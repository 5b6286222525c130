"""Records of data files -> one finished shard. The unit of work of a conversion."""

from __future__ import annotations

import importlib.metadata
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample, composition_key
from training.data.packed import PackedGraphs, concatenate, pack
from training.datasets.adapter import Dataset, DatasetInfo
from training.datasets.chosen import chosen_dataset
from training.datasets.splits import split_of
from training.describe import describe
from training.own_data import OwnData
from training.shards.layout import (
    SHARD_FORMAT,
    SPLITS,
    UNITS,
    ConvertSettings,
    FileRecord,
    ShardPart,
    ShardRecord,
    Sidecar,
    SourceFile,
    shard_name,
    write_json,
)
from training.shards.writer import write_shard

logger = logging.getLogger(__name__)

PACKED_AT_A_TIME = 256
"""Samples whose edges are held in double precision before they are packed."""
PACKAGES = ("atomfm", "adios2", "ase", "numpy", "vesin")
"""Whose versions are recorded."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What one shard is made of; plain values, so that another process can be told."""

    number: int
    """Of the shard."""
    dataset: str
    """Key of `DATASETS`."""
    head: str
    """The head that learns from it."""
    folder: Path
    """Where the shard goes."""
    settings: ConvertSettings
    """Of the conversion."""
    parts: tuple[tuple[Path, SourceFile, ShardPart], ...]
    """Data files and the records to take from each."""
    own: OwnData | None = None
    """What the numbers of a user's files mean; None: as the dataset says."""


@dataclass(kw_only=True)
class _Kept:
    """Samples that passed, by split."""

    cutoff: float
    packed: dict[str, list[PackedGraphs]] = field(default_factory=lambda: {s: [] for s in SPLITS})
    waiting: dict[str, list[Sample]] = field(default_factory=lambda: {s: [] for s in SPLITS})

    def add(self, split: str, sample: Sample, file: int) -> None:
        self.waiting[split].append(sample)
        if len(self.waiting[split]) >= PACKED_AT_A_TIME:
            self.pack(split, file)

    def pack(self, split: str, file: int) -> None:
        if self.waiting[split]:
            self.packed[split].append(pack(self.waiting[split], self.cutoff, file))
            self.waiting[split] = []

    def graphs(self, split: str) -> PackedGraphs:
        return concatenate(self.packed[split] or [pack([], self.cutoff)])


class _Reader:
    """Samples of one part after the other; goes on in a file where the last part ended.

    Many formats can only be read from the beginning, and each part would do so again.
    """

    def __init__(self) -> None:
        self._place: tuple[Path, int] | None = None
        self._samples: Iterator[Sample] = iter(())
        self._ahead: Sample | None = None

    def read(self, dataset: Dataset, path: Path, part: ShardPart) -> Iterator[Sample]:
        if self._place != (path, part.start):
            self._samples, self._ahead = dataset.read(path, part.start), None
        self._place = None
        number = part.start - 1
        while number < part.stop - 1:
            sample = self._ahead or next(self._samples, None)
            self._ahead = None
            if sample is None:
                break
            number = int(sample.source.rpartition("#")[2])
            if number >= part.stop:  # the records between are of another dataset
                self._ahead = sample
                break
            yield sample
        self._place = (path, part.stop)


def convert_chunks(chunks: Sequence[Chunk]) -> list[ShardRecord]:
    """Write shards, and beside each the file that says it is finished.

    Args:
        chunks: best in the order of their records, so that no file is read twice.

    Raises:
        DataError: a record that cannot be read (names file and record), or a disk that is full or
            cannot be written to (names the shard).
    """
    reader, records = _Reader(), []
    for chunk in chunks:
        record = _convert(chunk, reader)
        logger.info("%s: %d structures, refused %s", record.name, record.size, record.refused)
        records.append(record)
    return records


def _convert(chunk: Chunk, reader: _Reader) -> ShardRecord:
    dataset = chosen_dataset(chunk.dataset, chunk.own)
    kept, refused = _Kept(cutoff=chunk.settings.cutoff), Counter[str]()
    for path, source, part in chunk.parts:
        samples = reader.read(dataset, path, part)
        for split, sample in _usable(samples, source, dataset.info, chunk.settings, refused):
            kept.add(split, sample, part.file)
        for split in SPLITS:
            kept.pack(split, part.file)
    by_split = {split: kept.graphs(split) for split in SPLITS}
    graphs = concatenate(list(by_split.values()))
    name = shard_name(chunk.number)
    files: dict[str, FileRecord] = {}
    if len(graphs):
        attributes = _attributes(chunk, name)
        shard = chunk.folder / f"{name}.bp"
        files = write_shard(shard, graphs, chunk.settings.edges, attributes)
    counts = {split: len(part) for split, part in by_split.items()}
    record = ShardRecord(
        name=name,
        parts=tuple(part for _, _, part in chunk.parts),
        n_structures=counts,
        n_atoms=int(graphs.n_atoms.sum()),
        n_edges=int(graphs.n_edges.sum()),
        refused=dict(sorted(refused.items())),
        files=files,
    )
    sidecar = Sidecar(
        format=SHARD_FORMAT,
        record=record,
        summary=describe(by_split["train"], counts),
        versions=versions(),
    )
    write_json(sidecar, chunk.folder / f"{name}.json")
    return record


def versions() -> dict[str, str]:
    """Of the packages that decide what a shard holds."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def _attributes(chunk: Chunk, name: str) -> dict[str, str]:
    return {
        "shard": f"{chunk.head}/{name}",
        "format": str(SHARD_FORMAT),
        "dataset": chunk.dataset,
        "units": UNITS,
        "cutoff": f"{chunk.settings.cutoff} angstrom",
    }


def _usable(
    samples: Iterable[Sample],
    source: SourceFile,
    info: DatasetInfo,
    settings: ConvertSettings,
    refused: Counter[str],
) -> Iterator[tuple[str, Sample]]:
    for sample in samples:
        reason = _refusal(sample, info, settings)
        if reason:
            refused[reason] += 1
            continue
        split = source.split or _split(sample, source, info, settings)
        yield split, _as_stored(sample, info)


def _refusal(sample: Sample, info: DatasetInfo, settings: ConvertSettings) -> str:
    """Why a sample is left out; empty if it is not."""
    try:
        check_sample(sample)
    except DataError as error:
        logger.warning("left out: %s", error)
        return str(error).removeprefix(f"{sample.source}: ")
    if "energy" not in sample.targets:
        return "no energy"
    forces = sample.targets.get("forces")
    if forces is not None and np.linalg.norm(forces, axis=1).max() > settings.max_force:
        return f"force above {settings.max_force}"
    if sample.charge and not info.uses_charge:
        return "charged, which this head does not learn"
    return ""


def _split(sample: Sample, source: SourceFile, info: DatasetInfo, settings: ConvertSettings) -> str:
    composition = composition_key(sample)
    if composition in settings.never_held_out:
        return SPLITS[0]
    record = sample.source.rpartition("#")[2]
    keys = {
        "composition": composition,
        "group": sample.group or composition,
        "random": f"{source.name}#{record}",
    }
    return split_of(keys[info.split], settings.fractions, settings.split_seed)


def _as_stored(sample: Sample, info: DatasetInfo) -> Sample:
    """In the precision of the columns, so that edges counted now and found later are the same."""
    return replace(
        sample,
        positions=sample.positions.astype(np.float32).astype(np.float64),
        cell=sample.cell.astype(np.float32).astype(np.float64),
        multiplicity=sample.multiplicity if info.uses_charge else 1,
    )
