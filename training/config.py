"""The configuration of a training run: one YAML file, read into `PretrainConfig`."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError
from atomfm_calc.models.architecture import Architecture


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class BatchLimits:
    """Largest batch; every single structure must fit."""

    max_atoms: int = 1024
    """Atoms in a batch."""
    max_edges: int = 12000
    """Directed edges in a batch."""
    max_structures: int = 128
    """Structures in a batch."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DataConfig:
    """Where the data is and how it is divided."""

    root: Path = Path("../shared/data")
    """Folder of the published files."""
    collection: Path | None = None
    """Folder of the project's own collection; needed for its heads only."""
    own_files: dict[str, Path] = field(default_factory=dict)
    """Head name -> a user's extended XYZ file, for heads that are in no table."""
    cache: Path = Path("work/prepared")
    """Folder for prepared graphs."""
    files_of_run: Path | None = None
    """A run folder: read exactly the data files of that run, not those that are there now."""
    validation_fraction: float = 0.05
    """Part of each head's structures that chooses between runs."""
    test_fraction: float = 0.05
    """Part that is looked at once, for the card."""
    split_seed: int = 0
    """Seed of the division."""
    never_held_out: tuple[str, ...] = ()
    """Compositions that are always trained on, in order of atomic number ("OMg"): common materials
    that users expect to work. Held-out errors say nothing about them."""
    max_structures_per_head: int | None = None
    """Use a random part of each head's training structures only."""
    max_force: float = 50.0
    """eV/Å; structures with a larger force on any atom are left out."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class MixingConfig:
    """How often each head is drawn."""

    rule: Literal["proportional", "equal", "temperature"] = "temperature"
    """Key of `MIXING_RULES`."""
    temperature: float = 2.0
    """1 is proportional to the number of structures, infinity is equal."""
    factors: dict[str, float] = field(default_factory=dict)
    """Multiplies a head's probability."""
    periodic_repeats: dict[str, int] = field(default_factory=dict)
    """Head -> how often a periodic structure is drawn in one pass over the head, 1 where absent;
    for heads whose crystals and liquids are few beside their molecules."""

    def __post_init__(self) -> None:
        for head, repeats in self.periodic_repeats.items():
            if repeats < 1:
                raise ConfigError(f"periodic_repeats of {head!r} is {repeats}; give 1 or more")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class LossConfig:
    """Weighted sum over labels: energy per atom in eV, forces in eV/Å, stress in eV/Å³."""

    function: Literal["huber", "mae", "mse"] = "huber"
    """Key of `LOSSES`."""
    energy_weight: float = 1.0
    """Of the mean over structures."""
    forces_weight: float = 1.0
    """Of the mean over force components."""
    stress_weight: float = 10.0
    """Of the mean over stress components."""
    energy_delta: float = 0.02
    """eV/atom; Huber is linear above."""
    forces_delta: float = 0.1
    """eV/Å"""
    stress_delta: float = 0.005
    """eV/Å³"""
    head_weights: dict[str, float] = field(default_factory=dict)
    """Multiplies all terms of a head; 1 where absent."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class OptimizerConfig:
    """Optimizer and learning rate: linear warm-up, then half a cosine down to the end value."""

    name: Literal["adamw"] = "adamw"
    """Key of `OPTIMIZERS`."""
    learning_rate: float = 1e-3
    """After warm-up."""
    end_learning_rate: float = 1e-6
    """When the duration ends."""
    warmup_fraction: float = 0.02
    """Part of the duration over which the learning rate rises."""
    weight_decay: float = 1e-6
    """Of matrices; biases and embeddings have none."""
    clip_norm: float = 10.0
    """Largest norm of the gradient."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DurationConfig:
    """When training ends: whichever of the given limits is reached first."""

    max_steps: int | None = None
    """Optimizer steps."""
    time_budget_minutes: float | None = None
    """Wall clock, over all parts of an interrupted run, validation included."""
    max_samples: int | None = None
    """Structures drawn, of all heads together."""

    def __post_init__(self) -> None:
        if self.max_steps is None and self.time_budget_minutes is None and self.max_samples is None:
            raise ConfigError(
                "duration is without end: set max_steps, time_budget_minutes or max_samples"
            )


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class FitConfig:
    """Everything that the trainer does with batches."""

    duration: DurationConfig
    """When to end."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What to minimize."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How."""
    ema_decay: float = 0.999
    """Of the averaged weights that are validated and exported; 0: no averaging."""
    validate_every_steps: int = 500
    """Steps between validations."""
    validate_structures_per_head: int = 200
    """Validation structures used during training."""
    checkpoint_every_steps: int = 200
    """Steps between checkpoints."""
    log_every_steps: int = 20
    """Steps between lines of `metrics.jsonl`."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PretrainConfig:
    """One training run."""

    output: Path
    """Run folder: configuration, checkpoint, metrics, data summary."""
    heads: tuple[str, ...]
    """Names of datasets, each of which trains the head of its name."""
    fit: FitConfig
    """The trainer's part."""
    architecture: Architecture = field(default_factory=Architecture)
    """The network; ignored with `start_from`."""
    start_from: Path | None = None
    """Model folder or checkpoint to begin with; missing heads are added, others dropped."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where the data is."""
    mixing: MixingConfig = field(default_factory=MixingConfig)
    """How heads share the batches."""
    batch: BatchLimits = field(default_factory=BatchLimits)
    """Size of a batch."""
    kernel: str = "reference"
    """Key of `KERNELS`."""
    device: str = "cpu"
    """Torch device."""
    threads: int = 1
    """CPU threads of torch."""
    seed: int = 0
    """Of fresh weights and of the draws."""

    def __post_init__(self) -> None:
        if not self.heads or len(set(self.heads)) != len(self.heads):
            raise ConfigError(f"heads are {list(self.heads)}; name at least one, each once")
