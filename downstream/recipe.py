"""`Recipe`: everything that a fine-tuning depends on, read from one YAML file."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError, listing
from training.config import BatchLimits
from training.own_data import OwnData


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class SourceFile:
    """One public file."""

    name: str
    """Path below the folder of the data, as published; may hold * where the source does."""
    sha256: str | None = None
    """Hexadecimal; None: the source states none."""
    obtain: str
    """Address or the words that say how to get it."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PublishedFigure:
    """A figure that others have published for the same data, split and metric."""

    model: str
    """Who reached it."""
    value: float
    """In the unit of the target; see `metric`."""
    metric: str
    """Such as "MAE, eV/atom, five folds"."""
    target: str = ""
    """Name of the target; empty with one target."""
    source: str
    """Paper or address where it stands, and when it was read there."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Source:
    """Facts about the public data."""

    theory: str
    """Functional or method, basis, dispersion."""
    code: str
    """Program that made the labels."""
    licence: str
    """Of the data, and who states it."""
    doi: str
    """Of data or paper."""
    address: str
    """Where it is published."""
    files: tuple[SourceFile, ...] = ()
    """What has to be in the folder of the data; empty for a user's own."""
    n_structures: int | None = None
    """As published."""
    metric: str
    """What the field compares by, such as "MAE, eV/atom, mean of five folds"."""
    published: tuple[PublishedFigure, ...] = ()
    """Leaderboard figures."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Target:
    """One property to learn: a scalar, or one of several classes."""

    level: Literal["structure", "atom"] = "structure"
    """One value per structure or per atom."""
    unit: str
    """What the reader gives and every table shows; "1" for pure numbers and classes."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty: a number. The label is the place of the class."""
    pooling: Literal["mean", "sum", "attention"] = "mean"
    """Of a structure's atoms: mean for intensive values, sum for extensive ones, attention for a
    mean with learned weights."""
    transform: Literal["none", "log10"] = "none"
    """What is learned of the value; errors are always of the value itself. It is also brought to
    mean 0 and deviation 1, by least squares over the composition where `references` asks for it."""
    references: bool = False
    """Begin from a linear fit over the composition (for sum: over the numbers of atoms) instead of
    from the mean: for energies of formation, heat capacities and other nearly additive values."""
    loss: Literal["mae", "mse", "huber", "cross_entropy"] = "huber"
    """Of the error in deviations; classes take cross_entropy and nothing else does."""
    weight: float = 1.0
    """Of this target's loss beside others."""
    description: str = ""
    """What it is."""

    def __post_init__(self) -> None:
        if (self.loss == "cross_entropy") != bool(self.classes):
            raise ConfigError(
                f"loss {self.loss!r} with classes {listing(self.classes)}: cross_entropy goes with "
                "classes and with nothing else"
            )
        if len(self.classes) == 1:
            raise ConfigError(f"one class, {self.classes[0]!r}; name two or more, or none")
        if self.classes and (self.transform != "none" or self.references):
            raise ConfigError("classes have no transform and no references; leave both out")
        if self.level == "atom" and self.references:
            raise ConfigError("references are sums over a structure; a target of atoms has none")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Potential:
    """An energy head to learn, with its derivatives."""

    head: str
    """Name of the new head, of a-z, 0-9 and "-"."""
    labels: tuple[Literal["energy", "forces", "stress"], ...] = ("energy", "forces")
    """What the data has."""
    energy_zero: str = "not stated by the source"
    """What an energy of zero means."""
    uses_charge: bool = False
    """Whether charge and multiplicity are given and differ from neutral singlets."""
    energy_weight: float = 1.0
    """Of the error per atom, eV."""
    forces_weight: float = 1.0
    """Of the error in eV/Å."""
    stress_weight: float = 10.0
    """Of the error in eV/Å³."""
    reuse_head: str | None = None
    """Pretrained head whose weights the new one begins with, its references fitted anew; None: the
    one whose elements and errors fit the training structures best, "fresh": new weights."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Split:
    """How test structures are held out."""

    by: Literal["random", "composition", "group", "k-fold", "published"] = "random"
    """composition: no reduced formula on both sides; group: no `Sample.group`; k-fold: random, in
    `n_folds` parts; published: the folds of the source (`read_folds`)."""
    test_fraction: float = 0.2
    """Of the structures; random, composition, group."""
    validation_fraction: float = 0.15
    """Of the training structures, to stop early by; 2 at least, which are not trained on."""
    n_folds: int = 5
    """k-fold."""
    seed: int = 0
    """Of the division; another one is another test set."""
    max_test: int | None = 500
    """Test on a random part of the held-out structures only; None: on all."""

    def __post_init__(self) -> None:
        for name in ("test_fraction", "validation_fraction"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(f"split.{name} is {getattr(self, name)}; give between 0 and 1")
        if self.n_folds < 2:
            raise ConfigError(f"split.n_folds is {self.n_folds}; give 2 or more")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Replay:
    """Data of the pretraining, mixed into the steps against forgetting."""

    heads: tuple[str, ...] = ()
    """Pretrained heads; empty: all whose data is in the repository."""
    structures_per_head: int = 200
    """Drawn from, of each."""
    weight: float = 1.0
    """Of the replayed batch's loss beside that of the new data."""
    structures_per_step: int = 16
    """In a replayed batch; one comes with every batch of the new data."""
    ema_decay: float = 0.99
    """In place of a smaller `Schedule.ema_decay`: heads that are exact to few meV feel the noise
    of single steps."""
    backbone_rate: float = 0.05
    """In place of a larger `Adapt.backbone_rate`, for the pretrained heads too: what is to be kept
    may move only slowly."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Adapt:
    """What is done to the model."""

    start: Literal["pretrained", "scratch"] = "pretrained"
    """scratch: the same architecture with fresh weights."""
    model: str = "painn-lead"
    """Name or folder of the pretrained model."""
    train: Literal["head", "last-1", "last-2", "all", "lora"] = "all"
    """head: the new heads on a frozen backbone; last-k: the last k blocks too; lora: low-rank
    additions to the backbone's linear layers, merged into plain weights at the end."""
    lora_rank: int = 8
    """Rank of the additions."""
    layer_decay: float = 1.0
    """Learning rate of a block in that of the block after it; 1: all the same."""
    backbone_rate: float = 0.3
    """Learning rate of the last block in that of the heads; from scratch it is 1."""
    refit_references: bool = True
    """Fit the reference energies of the elements to the training structures (potentials)."""
    replay: Replay | None = None
    """None: pretrained heads are left as they are and forget."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Schedule:
    """How long and how fast. One cell of the sweep, whatever its size."""

    max_steps: int = 300
    """Optimizer steps at most."""
    patience: int = 8
    """Validations without improvement after which it ends."""
    validate_every_steps: int = 20
    """Steps between validations; the best one's weights are kept."""
    structures_per_step: int = 16
    """Structures in a step, fewer where `limits` ask for it."""
    learning_rate: float = 2e-3
    """Of the heads."""
    weight_decay: float = 1e-3
    """Of matrices."""
    clip_norm: float = 10.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.98
    """Of the averaged weights that are validated and kept."""
    limits: BatchLimits = field(default_factory=lambda: BatchLimits(max_structures=512))
    """Of a batch."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ExpectedFigure:
    """What a run of this recipe should give, within rounding of another machine."""

    data: str
    """Public data, or the stand-in by its name."""
    size: int
    """Training structures."""
    start: Literal["pretrained", "scratch"]
    """As in `Adapt`."""
    train: str
    """As in `Adapt`."""
    metric: str
    """Such as "band_gap MAE, eV"."""
    mean: float
    """Over the seeds."""
    deviation: float
    """Over the seeds."""
    command: str
    """That measured it."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Recipe:
    """One data set, and how a model is adapted to it."""

    name: str
    """As in `RECIPES`."""
    title: str
    """One line."""
    source: Source
    """The public data."""
    targets: dict[str, Target] = field(default_factory=dict)
    """Name of a property -> what it is; names of a-z, 0-9 and "_". Not with `potential`."""
    potential: Potential | None = None
    """An energy head to learn. Not with `targets`."""
    own: OwnData | None = None
    """A user's own files in place of `data.py`; targets are read from the keys of their names."""
    split: Split = field(default_factory=Split)
    """How test structures are held out."""
    adapt: Adapt = field(default_factory=Adapt)
    """What is done to the model."""
    schedule: Schedule = field(default_factory=Schedule)
    """How long and how fast."""
    sizes: tuple[int, ...] = (30, 100, 300)
    """Training structures, validation included; larger than what there is: all."""
    seeds: int = 3
    """Repetitions with other training structures and other fresh weights."""
    threads: int = 1
    """CPU threads of torch."""
    device: str = "cpu"
    """Torch device."""
    expected: tuple[ExpectedFigure, ...] = ()
    """Measured before."""

    def __post_init__(self) -> None:
        if bool(self.targets) == (self.potential is not None):
            raise ConfigError(
                f"recipe {self.name!r} has targets {listing(self.targets)} and "
                f"{'a' if self.potential else 'no'} potential; give one of the two"
            )
        if not self.sizes or min(self.sizes) < 1 or self.seeds < 1:
            raise ConfigError(
                f"recipe {self.name!r}: sizes {list(self.sizes)} and seeds {self.seeds}; "
                "give sizes and seeds of at least 1"
            )


RECIPE_FILE = "recipe.yaml"
"""Of a recipe's folder."""
