"""What a model is made of: the frozen configuration shared by training YAML and model file."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError


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
    conditioning: Literal["none", "charge_multiplicity"] = "charge_multiplicity"
    """What besides the structure the features depend on."""

    def __post_init__(self) -> None:
        for name in ("n_features", "n_layers", "n_radial"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not self.cutoff > 0.0:
            raise ConfigError(f"cutoff is {self.cutoff} Å; it must be above 0")


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
    """Sizes, used when `backbone` is "painn"."""
    head: EnergyHeadConfig = field(default_factory=EnergyHeadConfig)
    """Sizes of every energy head."""
    repulsion: Literal["none", "zbl"] = "zbl"
    """Pair repulsion added to every head at short range."""
