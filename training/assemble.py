"""Datasets or shards -> graphs, divided, with references and a summary for the card."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, lookup
from atomfm_calc.sample import Sample
from training.config import DataConfig
from training.data.loader import Assembler
from training.data.packed import PackedGraphs
from training.data.prepared import DataFile, Prepared, data_file, join, prepare_file
from training.data.source import MemorySource
from training.datasets import DATASETS
from training.datasets.adapter import CollectionShards, Dataset, DatasetInfo, Split
from training.datasets.chosen import OWN_FILE, chosen_dataset
from training.datasets.splits import split_by_group
from training.describe import describe
from training.own_data import own_data
from training.training_data import SUMMARY_FILE, Index, Summary, TrainingData, fit_head

logger = logging.getLogger(__name__)

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def assemble(heads: tuple[str, ...], config: DataConfig, cutoff: float) -> TrainingData:
    """Read, check, prepare and divide the data of the heads.

    Args:
        heads: names of `DATASETS`, of `config.own_files` or, if there are shards, of these; their
            order is that of head indices.
        config: where the data is and how it is divided.
        cutoff: Å.

    Raises:
        UnknownNameError: a head that is in no table.
        DataError: missing files, or a head without training structures.
    """
    if config.shards is not None:
        from training.from_shards import assemble_shards  # only who has shards needs adios2

        return assemble_shards(heads, config, cutoff)
    parts: list[Prepared] = []
    owner: list[NDArray[np.int64]] = []
    files: list[str] = []
    published: list[Split | None] = []
    infos: dict[str, DatasetInfo] = {}
    summary: Summary = {"cutoff": cutoff, "heads": {}}
    for number, head in enumerate(heads):
        dataset = dataset_of(head, config)
        sources = _files_of(head, dataset, config)
        infos[head] = replace(dataset.info, name=head)
        part = _read(head, dataset, sources, len(files), config, cutoff)
        files += [source.path.name for source in sources]
        published += [dataset.published_split(source.path) for source in sources]
        parts.append(part)
        owner.append(np.full(len(part.graphs), number))
        summary["heads"][head] = {
            "files": [[str(path), checksum] for path, checksum in sources],
            "refused": part.refused,
            **_meaning(head, config),
        }
        logger.info("%s: %d structures, refused %s", head, len(owner[-1]), part.refused or "none")
    everything = join(parts)
    graphs, head_of = everything.graphs, np.concatenate(owner)
    splits = {
        head: _divide(everything, np.flatnonzero(head_of == number), infos[head], config, published)
        for number, head in enumerate(heads)
    }
    references, scales = {}, {}
    for head in heads:
        training = graphs.select(splits[head]["train"])
        references[head], scales[head] = fit_head(training, infos[head])
        n_structures = {split: len(index) for split, index in splits[head].items()}
        summary["heads"][head] |= describe(training, n_structures)
        summary["heads"][head]["scale"] = scales[head]
    return TrainingData(
        assembler=Assembler(MemorySource(graphs, files), head_of),
        splits=splits,
        references=references,
        scales=scales,
        infos=infos,
        summary=summary,
    )


def dataset_of(head: str, config: DataConfig) -> Dataset:
    """The dataset that trains a head; UnknownNameError if there is none of that name."""
    if head in config.own_files:
        return chosen_dataset(OWN_FILE, own_data(config.own_files[head]))
    return lookup(DATASETS, head, "dataset (or key of data.own_files)")


def info_of(head: str, config: DataConfig) -> DatasetInfo:
    """Facts about the data of a head; errors as `dataset_of`, or DataError without its shards."""
    if config.shards is not None:
        from training.from_shards import shards_info

        return shards_info(head, config.shards)
    return dataset_of(head, config).info


def _files_of(head: str, dataset: Dataset, config: DataConfig) -> list[DataFile]:
    if config.files_of_run is not None:
        return _recorded_files(head, config.files_of_run)
    return [data_file(path) for path in _present_files(head, dataset, config)]


def _present_files(head: str, dataset: Dataset, config: DataConfig) -> list[Path]:
    if head in config.own_files:
        return dataset.files(own_data(config.own_files[head]).path)
    if not isinstance(dataset, CollectionShards):
        return dataset.files(config.root)
    if config.collection is None:
        raise DataError(
            f"head {head!r} learns from the collection; set data.collection to its folder"
        )
    return dataset.files(config.collection)


def _recorded_files(head: str, run: Path) -> list[DataFile]:
    path = run / SUMMARY_FILE
    if not path.is_file():
        raise DataError(f"{run} has no {SUMMARY_FILE}; is it the folder of a training run?")
    recorded = json.loads(path.read_text(encoding="utf-8"))["heads"]
    entries = lookup(recorded, head, "head", str(run))["files"]
    return [DataFile(Path(name), checksum) for name, checksum in entries]


def _meaning(head: str, config: DataConfig) -> Summary:
    """Keys and units of a user's file: with other ones, a run is another run."""
    own = config.own_files.get(head)
    return {} if own is None else {"own_data": own_data(own).meaning()}


def _read(
    head: str,
    dataset: Dataset,
    sources: list[DataFile],
    first_file: int,
    config: DataConfig,
    cutoff: float,
) -> Prepared:
    """All structures that a head can learn from; `first_file` is the number of its first file."""
    # a file may hold records of several datasets, each of which takes its own
    settings = json.dumps([dataset.info.name, _meaning(head, config)], sort_keys=True)
    parts = []
    for number, source in enumerate(sources, first_file):
        part = prepare_file(source, dataset.read, cutoff, config.cache, settings)
        columns = part.graphs.columns
        file = torch.full_like(columns["file"], number)
        parts.append(replace(part, graphs=PackedGraphs({**columns, "file": file})))
    whole = join(parts)
    whole = whole.without(
        {
            "no energy": ~np.isfinite(whole.graphs.columns["energy"].numpy()),
            f"force above {config.max_force}": whole.graphs.largest_force() > config.max_force,
        }
    )
    return whole if dataset.info.uses_charge else _neutral(whole)


def _neutral(whole: Prepared) -> Prepared:
    """Uncharged structures only, none with a stated spin."""
    charged = whole.graphs.columns["charge"].numpy() != 0.0
    kept = whole.without({"charged, which this head does not learn": charged})
    columns = kept.graphs.columns
    unstated = torch.ones_like(columns["multiplicity"])
    return replace(kept, graphs=PackedGraphs({**columns, "multiplicity": unstated}))


def _divide(
    everything: Prepared,
    members: Index,
    info: DatasetInfo,
    config: DataConfig,
    published: Sequence[Split | None],
) -> dict[str, Index]:
    """Structures of each split: as the source says of their file, the others by the dataset's rule.

    `published` [files] is what the source says of each file.
    """
    file_of = everything.graphs.columns["file"].numpy()[members]
    said = np.array([SPLITS.index(split) if split else -1 for split in published])[file_of]
    free = np.flatnonzero(said < 0)
    divided = _divide_by_rule(everything, members[free], info, config)
    local = {
        split: np.concatenate([np.flatnonzero(said == number), free[divided[split]]])
        for number, split in enumerate(SPLITS)
    }
    limit = config.max_structures_per_head
    if limit is not None:
        generator = np.random.default_rng(config.split_seed)
        local["train"] = generator.permutation(local["train"])[:limit]
    if len(local["train"]) == 0:
        raise DataError(f"head {info.name!r} has no training structures after the division")
    if len(local["validation"]) == 0:
        logger.warning(
            "%s has no validation structures: too few %ss for a part of %s; raise "
            "data.validation_fraction",
            info.name,
            "structure" if info.split == "random" else info.split,
            config.validation_fraction,
        )
    return {name: members[np.sort(rows)] for name, rows in local.items()}


def _divide_by_rule(
    everything: Prepared, members: Index, info: DatasetInfo, config: DataConfig
) -> dict[str, Index]:
    """Places among `members` of the structures of each split."""
    fractions = {
        "train": 1.0 - config.validation_fraction - config.test_fraction,
        "validation": config.validation_fraction,
        "test": config.test_fraction,
    }
    if info.split == "random":
        shuffled = np.random.default_rng(config.split_seed).permutation(len(members))
        ends = np.cumsum([round(part * len(members)) for part in list(fractions.values())[1:]])
        validation, test, train = np.split(shuffled, ends)
        return {"train": train, "validation": validation, "test": test}
    samples = [
        Sample(
            atomic_numbers=everything.graphs.numbers_of(index),
            positions=np.zeros((0, 3)),
            group=everything.groups[index] if info.split == "group" else "",
        )
        for index in members
    ]
    divided = split_by_group(samples, fractions, config.split_seed, config.never_held_out)
    return {name: np.array(divided[name], dtype=np.int64) for name in SPLITS}
