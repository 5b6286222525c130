"""The properties that heads predict and datasets label: level, shape, unit, name in ASE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Property:
    """What a property is."""

    name: str
    """Key in `Sample.targets`, `Batch.targets` and `Prediction`."""
    level: Literal["structure", "atom"]
    """One value per structure or one per atom."""
    tail: tuple[int, ...]
    """Shape of one value: () scalar, (3,) vector, (3, 3) tensor."""
    unit: str
    """Unit inside atomfm."""
    ase_name: str | None
    """Name in an ASE calculator's results; None if ASE has none."""


PROPERTIES: dict[str, Property] = {
    "energy": Property(name="energy", level="structure", tail=(), unit="eV", ase_name="energy"),
    "atom_energies": Property(
        name="atom_energies", level="atom", tail=(), unit="eV", ase_name="energies"
    ),
    "forces": Property(name="forces", level="atom", tail=(3,), unit="eV/Å", ase_name="forces"),
    "stress": Property(
        name="stress", level="structure", tail=(3, 3), unit="eV/Å³", ase_name="stress"
    ),
}
"""Stress is dE/dstrain / volume, tension positive, as in ASE."""
