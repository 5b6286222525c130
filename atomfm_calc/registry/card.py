"""Model cards: what a model and each of its heads are, as data.

A model folder holds `model.safetensors`, `card.yaml` and, if its heads can be mixed,
`gate.safetensors`, if they know how sure they are, `uncertainty.safetensors`, and if its page shall
have plots, `parity.json`; the card names the SHA-256 of the others, so that none can be exchanged
alone.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, dump_config, load_config
from atomfm_calc.errors import ConfigError, lookup

CARD_FILE = "card.yaml"
CARD_FORMAT = 1
PERIODICITIES = ("molecule", "1d", "2d", "3d")
"""Words for 0 to 3 periodic directions."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class SplitErrors:
    """Errors of one predictor on the held-out structures of one head."""

    energy_mae_meV_per_atom: float | None = None
    """Mean over structures of |error of the energy per atom|, meV."""
    forces_mae_meV_per_angstrom: float | None = None
    """Mean over atoms and directions, meV/Å; None without force labels."""
    stress_mae_GPa: float | None = None
    """Mean over the nine components, GPa; None without stress labels."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Validation:
    """Held-out errors of a head beside two baselines, all on the same structures."""

    split: str
    """How the structures were held out."""
    n_structures: int
    """Structures in the held-out set."""
    joint: SplitErrors
    """This model."""
    alone: SplitErrors | None = None
    """The same network trained on this head's data only, with the same budget."""
    references_only: SplitErrors | None = None
    """The per-element reference energies, no network."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Calibration:
    """How well the uncertainty of a head's energies agrees with their errors on a split."""

    split: str
    """Which held-out structures; not those that the uncertainty was fitted to."""
    n_structures: int
    """Structures in it."""
    rms_error_meV_per_atom: float
    """Root mean square error of the energy per atom, meV."""
    rms_uncertainty_meV_per_atom: float
    """Root mean square uncertainty, meV; equal to the errors' where it is right on the whole."""
    miscalibration_area: float
    """Mean over probabilities p of |part of the errors inside the interval of p - p|; 0 is best."""
    rank_correlation: float | None = None
    """Spearman's, of |error| and uncertainty; None for fewer than ten structures."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class HeadInfo:
    """What one head is: theory, data, coverage, errors, use."""

    title: str
    """One line."""
    theory: str
    """Functional or method, basis, dispersion."""
    code: str
    """Program that made the labels."""
    data: str
    """Data set and where it comes from."""
    source: str
    """Paper, DOI or address of the data set."""
    licence: str
    """Licence of the data."""
    elements: dict[str, int]
    """Training structures that contain each element; 1 where only that there are some is known."""
    elements_known: bool = True
    """False: nobody says which elements were seen, so that none is refused."""
    n_structures: dict[str, int]
    """Structures per split: train, validation, test."""
    periodicity: tuple[str, ...]
    """Of the training structures, words of `PERIODICITIES`."""
    charges: tuple[int, ...] = (0,)
    """Total charges seen, e."""
    multiplicities: tuple[int, ...] = (1,)
    """2S+1 values seen."""
    uses_charge: bool = False
    """False: charge and multiplicity were not given in training, other values are refused."""
    labels: dict[str, int]
    """Labeled structures per property."""
    energy_zero: str
    """What an energy of zero means."""
    validation: Validation | None = None
    """Held-out errors."""
    uncertainty: Calibration | None = None
    """How good its uncertainties are; None if it has none, or no structure was left to see."""
    good_for: tuple[str, ...] = ()
    """Uses that were checked."""
    not_for: tuple[str, ...] = ()
    """Uses that will fail."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PropertyInfo:
    """What one property head is: the property, its data, coverage, errors."""

    title: str
    """One line."""
    level: Literal["structure", "atom"]
    """One value per structure or per atom."""
    unit: str
    """Of the value; "1" for pure numbers and classes."""
    classes: tuple[str, ...] = ()
    """Names of the classes, whose probabilities are predicted; empty: a number."""
    theory: str
    """Functional or method, basis, dispersion."""
    code: str
    """Program that made the labels."""
    data: str
    """Data set and where it comes from."""
    source: str
    """Paper, DOI or address of the data set."""
    licence: str
    """Licence of the data."""
    elements: dict[str, int]
    """Training structures that contain each element."""
    n_structures: dict[str, int]
    """Structures per split: train, validation, test."""
    periodicity: tuple[str, ...]
    """Of the training structures: "molecule", "1d", "2d", "3d"."""
    split: str
    """How the test structures were held out."""
    test_errors: dict[str, float] = field(default_factory=dict)
    """Metric with its unit -> value on the held-out structures."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ModelCard:
    """What a model is; written beside its weights as YAML."""

    card_format: int = CARD_FORMAT
    """Version of this format."""
    name: str
    """Name without version, such as painn-lead."""
    version: str
    """Never used twice for different weights."""
    title: str
    """One line."""
    description: str
    """What it is and how it was made."""
    licence: str
    """Licence of the weights."""
    citation: str
    """How to cite it."""
    weights_sha256: str
    """SHA-256 of `model.safetensors`."""
    gate_sha256: str | None = None
    """SHA-256 of `gate.safetensors`, the weights of the heads in a mixture; None: there is none."""
    uncertainty_sha256: str | None = None
    """SHA-256 of `uncertainty.safetensors`, how sure each head is; None: there is none."""
    parity_sha256: str | None = None
    """SHA-256 of `parity.json`, labels and predictions for the page; None: there is none."""
    default_head: str
    """The head of `FoundationCalc(name)`; empty if the model has property heads only."""
    default_head_reason: str
    """Why that one."""
    heads: dict[str, HeadInfo]
    """By name, in the order of the model's head indices."""
    properties: dict[str, PropertyInfo] = field(default_factory=dict)
    """By name: what `predict_many(..., properties=[...])` can be asked for."""
    commands: tuple[str, ...] = ()
    """The commands that made the weights and the figures on this card."""
    measured: dict[str, str] = field(default_factory=dict)
    """Further figures, each with what was measured."""

    def __post_init__(self) -> None:
        if self.card_format != CARD_FORMAT:
            raise ConfigError(
                f"card format {self.card_format}; this atomfm reads {CARD_FORMAT}. Upgrade atomfm."
            )
        if self.heads or not self.properties:
            lookup(self.heads, self.default_head, "default head", self.name)

    @property
    def label(self) -> str:
        """Name and version: "painn-lead 0.1.0"."""
        return f"{self.name} {self.version}"

    def head(self, name: str) -> HeadInfo:
        """The card of a head; UnknownNameError lists what there is."""
        return lookup(self.heads, name, "head", self.name)

    def property_info(self, name: str) -> PropertyInfo:
        """The card of a property; UnknownNameError lists what there is."""
        return lookup(self.properties, name, "property", self.name)


def load_card(path: str | Path) -> ModelCard:
    """Read a card from a file or from a model folder; ConfigError names what is wrong in it."""
    path = Path(path)
    return load_config(ModelCard, path / CARD_FILE if path.is_dir() else path)


def save_card(card: ModelCard, folder: str | Path) -> Path:
    """Write `card.yaml` into a model folder and return its path."""
    path = Path(folder) / CARD_FILE
    dump_config(card, path)
    return path
