"""Datasets -> one set of prepared graphs, divided, with references and a summary for the card."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, lookup
from atomfm_calc.sample import Sample
from training.config import DataConfig
from training.data.loader import Assembler
from training.data.packed import PackedGraphs, concatenate
from training.data.prepared import DataFile, data_file, prepare_file
from training.data.source import MemorySource
from training.data.statistics import composition_matrix, fit_references, fit_scale
from training.datasets import DATASETS
from training.datasets.adapter import CollectionShards, Dataset, DatasetInfo
from training.datasets.splits import split_by_composition

logger = logging.getLogger(__name__)

SUMMARY_FILE = "data.json"
"""What a run was trained on; beside its checkpoint."""
SPLITS = ("train", "validation", "test")
Index = NDArray[np.int64]
Summary = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """All heads' structures and what was fitted to them."""

    assembler: Assembler
    """Indices -> batches."""
    splits: dict[str, dict[str, Index]]
    """Head -> split -> indices."""
    references: dict[str, NDArray[np.float64]]
    """Head -> [119] eV."""
    scales: dict[str, float]
    """Head -> eV or eV/Å."""
    infos: dict[str, DatasetInfo]
    """Head -> facts about its data."""
    summary: Summary
    """Files with checksums, counts per head: JSON, to be saved as `SUMMARY_FILE`."""

    @property
    def fingerprint(self) -> str:
        """Changes with the data files, the division and the filters."""
        return hashlib.sha256(json.dumps(self.summary, sort_keys=True).encode()).hexdigest()[:16]


def assemble(heads: tuple[str, ...], config: DataConfig, cutoff: float) -> TrainingData:
    """Read, check, prepare and divide the data of the heads.

    Args:
        heads: names of `DATASETS`, or of `config.own_files`; their order is that of head indices.
        config: where the data is and how it is divided.
        cutoff: Å.

    Raises:
        UnknownNameError: a head that is in neither table.
        DataError: missing files, or a head without training structures.
    """
    parts: list[PackedGraphs] = []
    owner: list[NDArray[np.int64]] = []
    files: list[str] = []
    infos: dict[str, DatasetInfo] = {}
    summary: Summary = {"cutoff": cutoff, "heads": {}}
    for number, head in enumerate(heads):
        dataset = dataset_of(head, config)
        sources = _files_of(head, dataset, config)
        infos[head] = replace(dataset.info, name=head)
        graphs, refused = _read(dataset, sources, len(files), config, cutoff)
        if not dataset.info.uses_charge:
            graphs = _neutral(graphs, refused)
        files += [source.path.name for source in sources]
        parts.append(graphs)
        owner.append(np.full(len(graphs), number))
        summary["heads"][head] = {
            "files": [[str(path), checksum] for path, checksum in sources],
            "refused": refused,
        }
        logger.info("%s: %d structures, refused %s", head, len(graphs), refused or "none")
    graphs = concatenate(parts)
    head_of = np.concatenate(owner)
    splits = {
        head: _divide(graphs, np.flatnonzero(head_of == number), infos[head], config)
        for number, head in enumerate(heads)
    }
    references, scales = {}, {}
    for head in heads:
        references[head], scales[head] = _fit(graphs, splits[head]["train"], infos[head])
        summary["heads"][head] |= _describe(graphs, splits[head])
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
        return DATASETS["extxyz"]
    return lookup(DATASETS, head, "dataset (or key of data.own_files)")


def _files_of(head: str, dataset: Dataset, config: DataConfig) -> list[DataFile]:
    if config.files_of_run is not None:
        return _recorded_files(head, config.files_of_run)
    return [data_file(path) for path in _present_files(head, dataset, config)]


def _present_files(head: str, dataset: Dataset, config: DataConfig) -> list[Path]:
    if head in config.own_files:
        return dataset.files(config.own_files[head])
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


def _read(
    dataset: Dataset, sources: list[DataFile], first_file: int, config: DataConfig, cutoff: float
) -> tuple[PackedGraphs, dict[str, int]]:
    parts: list[PackedGraphs] = []
    refused: dict[str, int] = {}
    for number, source in enumerate(sources):
        prepared = prepare_file(source, dataset.read, cutoff, config.cache)
        columns = dict(prepared.graphs.columns)
        columns["file"] = columns["file"].new_full(columns["file"].shape, first_file + number)
        parts.append(PackedGraphs(columns))
        for reason, count in prepared.refused.items():
            refused[reason] = refused.get(reason, 0) + count
    graphs = concatenate(parts)
    unlabeled = ~np.isfinite(graphs.columns["energy"].numpy())
    violent = graphs.largest_force() > config.max_force
    for name, found in (("no energy", unlabeled), (f"force above {config.max_force}", violent)):
        if found.any():
            refused[name] = int(found.sum())
    bad = unlabeled | violent
    return (graphs.select(np.flatnonzero(~bad)) if bad.any() else graphs), refused


def _neutral(graphs: PackedGraphs, refused: dict[str, int]) -> PackedGraphs:
    """Uncharged structures only (others are counted in `refused`), none with a stated spin."""
    charged = graphs.columns["charge"].numpy() != 0.0
    if charged.any():
        refused["charged, which this head does not learn"] = int(charged.sum())
        graphs = graphs.select(np.flatnonzero(~charged))
    unstated = torch.ones_like(graphs.columns["multiplicity"])
    return PackedGraphs({**graphs.columns, "multiplicity": unstated})


def _divide(
    graphs: PackedGraphs, members: Index, info: DatasetInfo, config: DataConfig
) -> dict[str, Index]:
    fractions = {
        "train": 1.0 - config.validation_fraction - config.test_fraction,
        "validation": config.validation_fraction,
        "test": config.test_fraction,
    }
    if info.split == "random":
        shuffled = np.random.default_rng(config.split_seed).permutation(len(members))
        ends = np.cumsum([round(part * len(members)) for part in list(fractions.values())[1:]])
        validation, test, train = np.split(shuffled, ends)
        local = {"train": train, "validation": validation, "test": test}
    else:
        samples = [
            Sample(atomic_numbers=graphs.numbers_of(index), positions=np.zeros((0, 3)))
            for index in members
        ]
        divided = split_by_composition(samples, fractions, config.split_seed, config.never_held_out)
        local = {name: np.array(divided[name], dtype=np.int64) for name in SPLITS}
    limit = config.max_structures_per_head
    if limit is not None:
        generator = np.random.default_rng(config.split_seed)
        local["train"] = generator.permutation(local["train"])[:limit]
    if len(local["train"]) == 0:
        raise DataError(f"head {info.name!r} has no training structures after the division")
    return {name: members[np.sort(rows)] for name, rows in local.items()}


def _fit(
    graphs: PackedGraphs, train: Index, info: DatasetInfo
) -> tuple[NDArray[np.float64], float]:
    chosen = graphs.select(train)
    numbers = chosen.columns["atomic_numbers"].numpy().astype(np.int64)
    counts = composition_matrix(numbers, chosen.n_atoms)
    energies = chosen.columns["energy"].numpy()
    prior = info.atom_energies
    if prior is not None and not set(np.unique(numbers).tolist()) <= set(prior):
        prior = None
    references = fit_references(counts, energies, prior)
    forces = chosen.columns["forces"].numpy()
    return references, fit_scale(counts, energies, forces, references)


def _describe(graphs: PackedGraphs, splits: Mapping[str, Index]) -> Summary:
    train = splits["train"]
    chosen = graphs.select(train)
    numbers = chosen.columns["atomic_numbers"].numpy().astype(np.int64)
    present = composition_matrix(numbers, chosen.n_atoms) > 0
    first_atoms = chosen.first_atom[:-1]
    n_periodic = chosen.columns["pbc"].sum(dim=1).numpy()
    kinds = ("molecule", "1d", "2d", "3d")
    return {
        "elements": {
            chemical_symbols[z]: int(present[:, z].sum()) for z in np.flatnonzero(present.any(0))
        },
        "n_structures": {name: len(index) for name, index in splits.items()},
        "n_atoms": int(chosen.n_atoms.sum()),
        "n_edges": int(chosen.n_edges.sum()),
        "periodicity": [kinds[count] for count in np.unique(n_periodic)],
        "charges": _whole(chosen.columns["charge"].numpy()),
        "multiplicities": _whole(chosen.columns["multiplicity"].numpy()),
        "labels": {
            "energy": _n_labeled(chosen.columns["energy"].numpy()),
            "forces": _n_labeled(chosen.columns["forces"].numpy()[first_atoms]),
            "stress": _n_labeled(chosen.columns["stress"].numpy()),
        },
    }


def _whole(values: NDArray[np.float32]) -> list[int]:
    return [int(value) for value in np.unique(values)]


def _n_labeled(values: NDArray[Any]) -> int:
    return int(np.isfinite(values.reshape(len(values), -1)).all(axis=1).sum())
