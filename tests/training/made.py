"""Miniature labeled data and a small trainer: two heads, a pair potential as the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ase.io import write

from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.sample import Sample
from training.config import BatchLimits, DurationConfig, FitConfig, OptimizerConfig
from training.data.batching import MixedSampler
from training.data.loader import Assembler, FixedLoader, TrainingLoader
from training.data.packed import PackedGraphs, pack
from training.data.source import MemorySource
from training.engine.run_facts import RunFacts
from training.engine.trainer import Trainer

CUTOFF = 3.0
HEADS = ("first", "second")
LIMITS = BatchLimits(max_atoms=20, max_edges=80, max_structures=6)
SMALL = Architecture(
    painn=PainnConfig(n_features=8, n_layers=2, n_radial=5, cutoff=CUTOFF),
    head=EnergyHeadConfig(hidden=(8,)),
)


def labeled(n_atoms: int, seed: int, source: str = "made#0") -> Sample:
    """A cluster with the energy and forces of springs between all pairs."""
    generator = np.random.default_rng([n_atoms, seed])
    grid = np.array([(i % 2, i // 2 % 2, i // 4) for i in range(n_atoms)], dtype=float)
    positions = 1.5 * grid + generator.normal(0.0, 0.1, (n_atoms, 3))
    vectors = positions[:, None] - positions[None]
    energy = 0.05 * (vectors**2).sum() - 2.0 * n_atoms
    return Sample(
        atomic_numbers=generator.choice([1, 6, 8], n_atoms),
        positions=positions,
        targets={"energy": np.array(energy), "forces": -0.2 * vectors.sum(axis=1)},
        source=source,
    )


def crystal(seed: int) -> Sample:
    """A periodic pair of atoms that is labeled with energy and stress, not forces."""
    stress = np.diag([0.01, 0.02, 0.03])
    cell = np.diag([2.5, 2.7, 2.9])
    sample = labeled(2, seed)
    targets = {"energy": np.array(-3.0), "stress": stress}
    return replace(sample, cell=cell, pbc=np.ones(3, dtype=bool), targets=targets)


def samples(count: int) -> list[Sample]:
    """Clusters of 1 to 6 atoms and crystals, in turn."""
    made = [labeled(1 + i % 6, i) if i % 4 else crystal(i) for i in range(count)]
    return [replace(sample, source=f"made#{i}") for i, sample in enumerate(made)]


def write_own_file(path: Path, labeled_samples: Sequence[Sample]) -> Path:
    """Extended XYZ as a user would bring it."""
    structures = []
    for sample in labeled_samples:
        atoms = atoms_from_sample(sample)
        for key, value in sample.targets.items():
            place = atoms.arrays if key == "forces" else atoms.info
            place[f"REF_{key}"] = value.reshape(-1) if key == "stress" else value[()]
        structures.append(atoms)
    write(path, structures, format="extxyz")
    return path


def packed(count: int = 24) -> PackedGraphs:
    """Graphs of `samples`."""
    return pack(samples(count), CUTOFF)


def same_graphs(first: PackedGraphs, second: PackedGraphs) -> bool:
    """Whether all columns are equal, to the last bit."""
    return all(
        column.dtype == second.columns[name].dtype
        and torch.equal(column.nan_to_num(), second.columns[name].nan_to_num())
        and torch.equal(column.isnan(), second.columns[name].isnan())
        for name, column in first.columns.items()
    )


def small_model(heads: Sequence[str] = HEADS, seed: int = 0) -> FoundationModel:
    """Fresh weights, float32."""
    torch.manual_seed(seed)
    return FoundationModel(SMALL, heads)


def small_trainer(folder: Path, graphs: PackedGraphs | None = None, max_steps: int = 12) -> Trainer:
    """A trainer of two heads on every second structure each."""
    graphs = packed() if graphs is None else graphs
    head = np.arange(len(graphs)) % 2
    index = {name: np.flatnonzero(head == i) for i, name in enumerate(HEADS)}
    sizes = (graphs.n_atoms, graphs.n_edges)
    sampler = MixedSampler(index, dict.fromkeys(HEADS, 0.5), sizes, LIMITS, seed=3)
    assembler = Assembler(MemorySource(graphs, ["made"]), head)
    config = FitConfig(
        duration=DurationConfig(max_steps=max_steps),
        optimizer=OptimizerConfig(learning_rate=0.01),
        validate_every_steps=1000,
        log_every_steps=1,
    )
    validation = FixedLoader(assembler, np.arange(8), LIMITS)
    return Trainer(
        small_model(),
        TrainingLoader(assembler, sampler),
        validation,
        config,
        folder,
        RunFacts(heads=HEADS, fingerprint="data"),
    )
