"""The configuration of a training run: one YAML file, read into `PretrainConfig`."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError
from atomfm_calc.models.architecture import Architecture
from training.own_data import OwnFileConfig


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
    own_files: dict[str, OwnFileConfig] = field(default_factory=dict)
    """Head name -> a user's file or a folder of such files, as a path or, with keys and units of
    its own, as the fields of `OwnData`; for heads that are in no table."""
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
    shards: Path | None = None
    """Folder of converted shards, one subfolder per head: read these and nothing else. Division and
    filters are then those of the conversion."""
    preload: bool = False
    """Read all shards into memory at the start."""
    store_width: int | None = None
    """Ranks that hold one copy of the shards in memory together, each reading the others' by
    one-sided MPI; None: every rank reads the shards from disk."""
    prefetch: int = 2
    """Batches made ahead of the step."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class MixingConfig:
    """How often each head is drawn."""

    rule: Literal["proportional", "equal", "temperature", "explicit"] = "temperature"
    """Key of `MIXING_RULES`, or explicit: in proportion to `factors` alone."""
    temperature: float = 2.0
    """1 is proportional to the number of structures, infinity is equal."""
    factors: dict[str, float] = field(default_factory=dict)
    """Multiplies a head's probability; with the rule explicit, every head needs one."""
    max_passes: float | None = None
    """No head is drawn more often than makes so many passes over its structures in the whole run;
    the others get its draws. Needs `fit.duration.max_samples`."""
    periodic_repeats: dict[str, int] = field(default_factory=dict)
    """Head -> how often a periodic structure is drawn in one pass over the head, 1 where absent;
    for heads whose crystals and liquids are few beside their molecules."""

    def __post_init__(self) -> None:
        for head, repeats in self.periodic_repeats.items():
            if repeats < 1:
                raise ConfigError(f"periodic_repeats of {head!r} is {repeats}; give 1 or more")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PropertyLoss:
    """The loss of one property head."""

    function: Literal["huber", "mae", "mse", "cross_entropy"] = "huber"
    """Key of `LOSSES`, or cross_entropy for classes."""
    weight: float = 1.0
    """Of the mean over labels."""
    scale: float = 1.0
    """Errors of the learned value are divided by it."""
    delta: float = 1.0
    """Huber is linear above, in scales."""


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
    properties: dict[str, PropertyLoss] = field(default_factory=dict)
    """Property head -> its loss; heads that are not named are not trained."""


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
    rate_factors: dict[str, float] = field(default_factory=dict)
    """Beginning of parameter names ("backbone.message_blocks.0.") -> factor on their learning rate;
    the longest that fits counts, 1 where none does."""


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
    precision: Literal["fp64", "fp32", "bf16"] = "fp32"
    """Key of `PRECISIONS`; bf16 is fp32 with the dense layers of atoms in bfloat16."""
    recompute: bool = False
    """Compute blocks again for the gradient instead of keeping them. Saves memory with energy
    labels alone: the gradient of forces keeps all blocks anyway (`benchmarks/training_step.py`
    measured no less); there, make batches smaller and `parallel.batches_per_step` larger."""
    ema_decay: float = 0.999
    """Of the averaged weights that are validated and exported; 0: no averaging."""
    validate_every_steps: int = 500
    """Steps between validations."""
    validate_structures_per_head: int = 200
    """Validation structures used during training."""
    checkpoint_every_steps: int = 200
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """Latest checkpoints kept, beside the best."""
    log_every_steps: int = 20
    """Steps between lines of `metrics.jsonl`."""
    patience: int | None = None
    """Validations in a row without a better one after which the run ends; None: it does not."""
    tensorboard: bool = False
    """Write the same figures for TensorBoard, into the folder `tensorboard` of the run."""

    def __post_init__(self) -> None:
        for name in ("validate_every_steps", "checkpoint_every_steps", "log_every_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"fit.{name} is {getattr(self, name)}; it must be at least 1")
        if self.keep_checkpoints < 1:
            raise ConfigError(f"fit.keep_checkpoints is {self.keep_checkpoints}; keep at least 1")
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"fit.patience is {self.patience}; give at least 1, or leave it out")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ParallelConfig:
    """How ranks share a step. None of it changes the gradient, except `head_groups`."""

    strategy: Literal["single", "ddp", "fsdp", "multitask", "multitask-fsdp"] = "single"
    """Key of `STRATEGIES`: one process; whole copies; sharded weights; heads on the ranks that draw
    from them, with the backbone copied or sharded."""
    batches_per_step: int = 1
    """Batches whose gradients are added up in one step, shared evenly by the ranks: the same run
    on any number of ranks that divides it."""
    head_groups: tuple[tuple[str, ...], ...] = ()
    """Groups of heads that share batches, each group with its own part of `batches_per_step` in
    proportion to its draws. Empty: all heads in every batch, but with multitask one group per head,
    the smallest joined until there are no more groups than batches."""
    backend: str | None = None
    """Of torch.distributed; None: gloo on the CPU, nccl on CUDA."""
    timeout_minutes: float = 30.0
    """How long a rank waits for the others."""

    def __post_init__(self) -> None:
        if self.batches_per_step < 1:
            raise ConfigError(f"batches_per_step is {self.batches_per_step}; give 1 or more")

    def check_world_size(self, world_size: int) -> None:
        """ConfigError if so many ranks cannot share a step."""
        if self.strategy == "single" and world_size > 1:
            raise ConfigError(
                f"{world_size} processes cannot run parallel.strategy single; set it to ddp, fsdp, "
                "multitask or multitask-fsdp, or launch one process"
            )
        if self.batches_per_step % world_size:
            raise ConfigError(
                f"{world_size} ranks cannot share {self.batches_per_step} batches per step evenly; "
                f"set parallel.batches_per_step to a multiple of {world_size}"
            )


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
    """The network; with `start_from` only its `painn.norm_offset` counts, which has no weights."""
    start_from: Path | None = None
    """Model folder or checkpoint to begin with; missing heads are added, others dropped."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where the data is."""
    mixing: MixingConfig = field(default_factory=MixingConfig)
    """How heads share the batches."""
    batch: BatchLimits = field(default_factory=BatchLimits)
    """Size of a batch."""
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    """How ranks share the work."""
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
