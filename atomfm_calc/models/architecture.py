"""What a model is made of: the frozen configuration shared by training YAML and model file."""

from __future__ import annotations

from dataclasses import field
from typing import Literal, cast

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import lookup
from atomfm_calc.models.family_sizes import (
    SMOOTH_NORM_OFFSET,
    Conditioning,
    DimenetConfig,
    EgnnConfig,
    MaceConfig,
    PnaeqConfig,
    SchnetConfig,
    check_sizes,
)


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PainnConfig:
    """Sizes of the PaiNN backbone."""

    n_features: int = 128
    """F, scalar features per atom; there are F vectors too."""
    n_layers: int = 3
    """Message and update blocks."""
    n_radial: int = 20
    """Radial basis functions."""
    cutoff: float = 5.0
    """Å"""
    conditioning: Conditioning = "charge_multiplicity"
    """What besides the structure the features depend on."""
    norm_offset: float = SMOOTH_NORM_OFFSET
    """Added to squared lengths of vectors before the root. Where vectors vanish by symmetry a small
    one makes a kink in the energy: stiffness and phonons of crystals are then wrong."""

    def __post_init__(self) -> None:
        check_sizes(self, {})


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class HydraPainnConfig:
    """Sizes and choices of HydraGNN's PaiNN, as a checkpoint of it says."""

    n_features: int = 128
    """H, scalar features per atom behind the first layer; there are H vectors too."""
    n_layers: int = 4
    """Message, update and output blocks."""
    n_radial: int = 6
    """Radial basis functions."""
    cutoff: float = 5.0
    """Å"""
    activation: Literal[
        "relu", "silu", "selu", "prelu", "elu", "lrelu_01", "lrelu_025", "lrelu_05", "sigmoid"
    ] = "relu"
    """Behind every layer, and in conditioning and heads."""
    conditioning: Literal["none", "concat_node", "film", "fuse_pool"] = "concat_node"
    """Where total charge and multiplicity enter: nowhere, into the atoms' features by a linear
    layer or by scale and shift, or into the pooled features."""
    pooling: Literal["add", "mean", "max"] = "add"
    """How the features of the atoms become those of the structure."""
    biased_vectors: bool = False
    """Whether linear layers of vectors have a bias, as in HydraGNN v5.0: energies then depend on
    the orientation."""
    max_neighbors: int | None = None
    """Atoms that each atom sends messages to, the nearest ones; None: all within the cutoff."""

    def __post_init__(self) -> None:
        check_sizes(self, {})


Sizes = (
    PainnConfig
    | SchnetConfig
    | EgnnConfig
    | DimenetConfig
    | MaceConfig
    | PnaeqConfig
    | HydraPainnConfig
)
FAMILIES = ("painn", "schnet", "egnn", "dimenet", "mace", "pnaeq", "hydra_painn")
"""Sections of `Architecture`, named as the keys of `BACKBONES`."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EnergyHeadConfig:
    """Sizes of one energy head."""

    hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Architecture:
    """A backbone and what all heads share; the heads themselves are named in the model file."""

    backbone: str = "painn"
    """Key of `BACKBONES`."""
    painn: PainnConfig = field(default_factory=PainnConfig)
    """Sizes, used when `backbone` is "painn"; so for the other families."""
    schnet: SchnetConfig = field(default_factory=SchnetConfig)
    egnn: EgnnConfig = field(default_factory=EgnnConfig)
    dimenet: DimenetConfig = field(default_factory=DimenetConfig)
    mace: MaceConfig = field(default_factory=MaceConfig)
    pnaeq: PnaeqConfig = field(default_factory=PnaeqConfig)
    hydra_painn: HydraPainnConfig = field(default_factory=HydraPainnConfig)
    """Sizes, used when `backbone` is "hydra_painn"."""
    head: EnergyHeadConfig = field(default_factory=EnergyHeadConfig)
    """Sizes of every energy head."""
    own_heads: dict[str, EnergyHeadConfig] = field(default_factory=dict)
    """Sizes of energy heads that differ from `head`, by name."""
    repulsion: Literal["none", "zbl"] = "zbl"
    """Pair repulsion added to every head at short range."""

    @property
    def sizes(self) -> Sizes:
        """Sizes of the backbone in use; UnknownNameError if there is no such backbone."""
        sections = {name: getattr(self, name) for name in FAMILIES}
        return cast(Sizes, lookup(sections, self.backbone, "backbone"))
