"""Sizes of the message-passing families other than PaiNN; sections of `Architecture`."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError

Conditioning = Literal["none", "charge_multiplicity"]
SMOOTH_NORM_OFFSET = 0.03
"""Default of `norm_offset`: with it, the stiffness of an atom at a symmetric site is the same from
displacements of 0.001 to 0.1 Å within 2 % (silicon, painn-lead); with 1e-8 it is not by tenfold."""


def check_sizes(sizes: Any, minimum: dict[str, int]) -> None:
    """Every int of a section is at least 1, or what `minimum` says; floats are above 0.

    Raises:
        ConfigError: names section, field, value and what is allowed.
    """
    name = type(sizes).__name__.removesuffix("Config")
    section = re.sub("(?<=.)(?=[A-Z])", "_", name).lower()
    for field in fields(sizes):
        value = getattr(sizes, field.name)
        lowest = minimum.get(field.name, 1)
        if isinstance(value, int) and not isinstance(value, bool) and value < lowest:
            raise ConfigError(f"{section}.{field.name} is {value}; it must be at least {lowest}")
    if not sizes.cutoff > 0.0:
        raise ConfigError(f"{section}.cutoff is {sizes.cutoff} Å; it must be above 0")
    offset = getattr(sizes, "norm_offset", SMOOTH_NORM_OFFSET)
    if not offset > 0.0:
        raise ConfigError(
            f"{section}.norm_offset is {offset}; it must be above 0, or forces are not defined "
            "where vectors vanish"
        )


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class SchnetConfig:
    """Sizes of the SchNet backbone."""

    n_features: int = 128
    """F, scalar features per atom."""
    n_filters: int = 128
    """Width of the continuous filters."""
    n_gaussians: int = 50
    """Gaussians between 0 and the cutoff that expand a distance."""
    n_layers: int = 3
    """Interaction blocks."""
    cutoff: float = 5.0
    """Å"""
    conditioning: Conditioning = "charge_multiplicity"
    """What besides the structure the features depend on."""

    def __post_init__(self) -> None:
        check_sizes(self, {"n_gaussians": 2})


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EgnnConfig:
    """Sizes of the EGNN backbone."""

    n_features: int = 128
    """F, scalar features per atom, and the width of messages."""
    n_layers: int = 3
    """Layers."""
    cutoff: float = 5.0
    """Å"""
    conditioning: Conditioning = "charge_multiplicity"
    """What besides the structure the features depend on."""

    def __post_init__(self) -> None:
        check_sizes(self, {})


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PnaeqConfig:
    """Sizes of the PNAEq backbone."""

    n_features: int = 128
    """F, scalar features per atom; there are F vectors too."""
    n_layers: int = 3
    """Message and update blocks."""
    n_radial: int = 20
    """Radial basis functions."""
    typical_neighbors: int = 30
    """Neighbors of an ordinary atom, the delta of the paper: its degree scalers are 1 there."""
    cutoff: float = 5.0
    """Å"""
    conditioning: Conditioning = "charge_multiplicity"
    """What besides the structure the features depend on."""
    norm_offset: float = SMOOTH_NORM_OFFSET
    """As `PainnConfig.norm_offset`."""

    def __post_init__(self) -> None:
        check_sizes(self, {})


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DimenetConfig:
    """Sizes of the DimeNet++ backbone; the defaults are the paper's."""

    n_features: int = 128
    """F, width of edge messages and of the atoms' features."""
    n_layers: int = 4
    """Interaction blocks."""
    n_radial: int = 6
    """Radial basis functions."""
    n_spherical: int = 7
    """Angular basis functions, orders 0 .. n_spherical - 1."""
    basis_width: int = 8
    """Width of the projected basis functions."""
    interaction_width: int = 64
    """Width of messages over triplets."""
    output_width: int = 256
    """Width of the output layers."""
    n_before_skip: int = 1
    """Residual layers before the skip connection."""
    n_after_skip: int = 2
    """Residual layers after it."""
    envelope_power: int = 6
    """p of the envelope: how late it falls."""
    cutoff: float = 5.0
    """Å"""
    conditioning: Conditioning = "charge_multiplicity"
    """What besides the structure the features depend on."""

    def __post_init__(self) -> None:
        minimum = {"n_before_skip": 0, "n_after_skip": 0, "n_spherical": 2, "envelope_power": 2}
        check_sizes(self, minimum)


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class MaceConfig:
    """Sizes of the MACE backbone."""

    n_channels: int = 64
    """Channels of every degree; a model gives n_channels scalars per layer."""
    n_layers: int = 2
    """Interactions."""
    n_radial: int = 8
    """Radial basis functions."""
    radial_basis: Literal["bessel", "gaussian", "chebyshev"] = "bessel"
    """Kind of radial functions."""
    distance_transform: Literal["none", "agnesi", "soft"] = "none"
    """Rescales distances by the covalent radii of the two elements."""
    max_ell: int = 3
    """Highest degree of the spherical harmonics of an edge."""
    node_max_ell: int = 1
    """Highest degree of the features that pass from layer to layer; at most max_ell."""
    correlation: int = 3
    """Edges multiplied with each other: 3 means four-body terms."""
    radial_hidden: tuple[int, ...] = (64, 64, 64)
    """Hidden layers of the network that weighs an edge."""
    envelope_power: int = 5
    """p of the polynomial cutoff."""
    typical_neighbors: int = 30
    """Neighbors of an ordinary atom; sums over neighbors are divided by it."""
    cutoff: float = 5.0
    """Å"""
    conditioning: Conditioning = "charge_multiplicity"
    """What besides the structure the features depend on."""

    def __post_init__(self) -> None:
        check_sizes(self, {"max_ell": 1, "node_max_ell": 0, "envelope_power": 2})
        if self.node_max_ell > self.max_ell:
            raise ConfigError(
                f"mace.node_max_ell is {self.node_max_ell} and max_ell {self.max_ell}; edges of "
                "degree max_ell make features of at most that degree"
            )
        if not self.radial_hidden or min(self.radial_hidden) < 1:
            raise ConfigError(
                f"mace.radial_hidden is {list(self.radial_hidden)}; name one width or more, above 0"
            )
