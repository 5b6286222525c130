"""Records of data files -> one finished shard. The unit of work of a conversion."""

from __future__ import annotations

import importlib.metadata
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample, composition_key
from training.data.packed import PackedGraphs, concatenate, pack
from training.datasets import DATASETS
from training.datasets.adapter import DatasetInfo
from training.datasets.splits import split_of
from training.describe import describe
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


def convert_chunk(chunk: Chunk) -> ShardRecord:
    """Write one shard and the file that says it is finished.

    Raises:
        DataError: a record that cannot be read (names file and record), or a disk that is full or
            cannot be written to (names the shard).
    """
    kept, refused = _Kept(cutoff=chunk.settings.cutoff), Counter[str]()
    for path, source, part in chunk.parts:
        for split, sample in _samples(chunk, path, source, part, refused):
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


def _samples(
    chunk: Chunk, path: Path, source: SourceFile, part: ShardPart, refused: Counter[str]
) -> Iterator[tuple[str, Sample]]:
    dataset = DATASETS[chunk.dataset]
    for sample in dataset.read(path, part.start, part.stop):
        reason = _refusal(sample, dataset.info, chunk.settings)
        if reason:
            refused[reason] += 1
            continue
        split = source.split or _split(sample, source, dataset.info, chunk.settings)
        yield split, _as_stored(sample, dataset.info)


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
