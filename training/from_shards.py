"""The data of a run from converted shards, read from disk, from memory or from other ranks."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from atomfm_calc.errors import ConfigError, DataError, listing
from training.config import DataConfig
from training.data.loader import Assembler
from training.data.packed import concatenate
from training.data.source import JoinedSource, SampleSource
from training.datasets.adapter import DatasetInfo
from training.parallel.process import launcher_place
from training.shards.layout import INDEX_FILE, SPLITS, ShardIndex, read_json
from training.shards.reader import ShardSource
from training.training_data import Index, Summary, TrainingData, fit_head

logger = logging.getLogger(__name__)

STRUCTURES_FOR_REFERENCES = 200_000
"""Training structures of a head that its references and scale are fitted to, evenly spaced."""


def assemble_shards(heads: tuple[str, ...], config: DataConfig, cutoff: float) -> TrainingData:
    """Open the shards of the heads; see `assemble`.

    Args:
        heads: subfolders of `config.shards`; their order is that of head indices.
        config: where the shards are and how they are read.
        cutoff: Å.

    Raises:
        DataError: no shards of a head, damaged ones, or no training structures in them.
    """
    assert config.shards is not None
    sources: dict[str, ShardSource] = {}
    infos: dict[str, DatasetInfo] = {}
    references: dict[str, NDArray[np.float64]] = {}
    scales: dict[str, float] = {}
    splits: dict[str, dict[str, Index]] = {}
    summary: Summary = {"cutoff": cutoff, "heads": {}}
    first = 0
    for head in heads:
        infos[head] = shards_info(head, config.shards)
        source = ShardSource(config.shards / head, cutoff, preload=config.preload)
        own = {split: source.members(split) for split in SPLITS}
        if len(own["train"]) == 0:
            raise DataError(f"the shards {source.folder} hold no training structures")
        parts = concatenate(list(source.training_parts(STRUCTURES_FOR_REFERENCES)))
        references[head], scales[head] = fit_head(parts, infos[head])
        sources[head] = source
        splits[head] = {split: index + first for split, index in own.items()}
        summary["heads"][head] = _summary(source.index) | {"scale": scales[head]}
        first += len(source)
        logger.info("%s: %d structures in %d shards", head, len(source), len(source.index.shards))
    owner = np.repeat(np.arange(len(heads)), [len(source) for source in sources.values()])
    return TrainingData(
        assembler=Assembler(_spread(JoinedSource(list(sources.values())), config, cutoff), owner),
        splits=splits,
        references=references,
        scales=scales,
        infos=infos,
        summary=summary,
    )


def shards_info(head: str, shards: Path) -> DatasetInfo:
    """Facts about the data of a head as they were when it was converted.

    Raises:
        DataError: there are no shards of that head; names those there are.
    """
    if not (shards / head / INDEX_FILE).is_file():
        found = sorted(path.parent.name for path in shards.glob(f"*/{INDEX_FILE}"))
        raise DataError(
            f"{shards} has no finished shards of head {head!r}; it has: {listing(found)}. Convert "
            f"with `python -m training convert DATASET --head {head} --out {shards}`"
        )
    index = read_json(ShardIndex, shards / head / INDEX_FILE)
    return TypeAdapter(DatasetInfo).validate_python({**index.info, "name": head})


def _spread(source: SampleSource, config: DataConfig, cutoff: float) -> SampleSource:
    """The source itself, or the memory of all ranks filled with it."""
    if config.store_width is None:
        return source
    # only who asks for it needs mpi4py
    from training.data.store import StoreSource, mpi_world_size

    launched, known = launcher_place().world_size, mpi_world_size()
    if launched != known:
        raise ConfigError(
            f"data.store_width needs ranks that MPI launched: {launched} processes run, and MPI "
            f"knows of {known}. Launch with mpiexec, srun or their kind, not torchrun, or leave "
            "data.store_width out"
        )
    return StoreSource(source, cutoff=cutoff, width=config.store_width)


def _summary(index: ShardIndex) -> Summary:
    """What the card needs, and what changes if the shards do."""
    return {
        **index.summary,
        "files": [[file.name, file.content.sha256] for file in index.files],
        "shards": [
            [shard.name, [record.sha256 for record in shard.files.values()]]
            for shard in index.shards
        ],
        "refused": index.refused,
    }
