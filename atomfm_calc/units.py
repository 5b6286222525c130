"""Conversion at the door: everything inside atomfm is in eV, Å, eV/Å and eV/Å³.

Values: the CODATA set of `ase.units` (which is created there, so the two never differ).
"""

from __future__ import annotations

from ase import units as ase_units

from atomfm_calc.errors import lookup

KCAL_PER_MOL = ase_units.kcal / ase_units.mol
"""eV per kcal/mol."""
GPA = ase_units.GPa
"""eV/Å³ per GPa."""

ENERGY_UNITS: dict[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "hartree": ase_units.Hartree,
    "rydberg": ase_units.Rydberg,
    "kcal/mol": KCAL_PER_MOL,
    "kJ/mol": ase_units.kJ / ase_units.mol,
}
"""eV per declared unit."""

LENGTH_UNITS: dict[str, float] = {"angstrom": 1.0, "bohr": ase_units.Bohr, "nm": 10.0}
"""Å per declared unit."""

STRESS_UNITS: dict[str, float] = {"eV/angstrom^3": 1.0, "GPa": GPA, "kbar": 0.1 * GPA}
"""eV/Å³ per declared unit, tension positive. VASP prints compression positive: negate as well."""


def energy_factor(unit: str) -> float:
    """eV per `unit`; UnknownNameError names the units there are."""
    return lookup(ENERGY_UNITS, unit, "energy unit")


def length_factor(unit: str) -> float:
    """Å per `unit`; UnknownNameError names the units there are."""
    return lookup(LENGTH_UNITS, unit, "length unit")


def forces_factor(unit: str) -> float:
    """eV/Å per `unit`, written energy/length; UnknownNameError names the units there are."""
    energy, _, length = unit.rpartition("/")
    return energy_factor(energy) / length_factor(length)


def stress_factor(unit: str) -> float:
    """eV/Å³ per `unit`; UnknownNameError names the units there are."""
    return lookup(STRESS_UNITS, unit, "stress unit")
