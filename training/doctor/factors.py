"""Known mistakes and the factor by which each shows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from atomfm_calc.units import ENERGY_UNITS, GPA, LENGTH_UNITS

_HARTREE, _BOHR = ENERGY_UNITS["hartree"], LENGTH_UNITS["bohr"]
_RYDBERG, _KCAL, _KJ = ENERGY_UNITS["rydberg"], ENERGY_UNITS["kcal/mol"], ENERGY_UNITS["kJ/mol"]

ENERGY_PER_WORK: dict[str, float] = {
    "the forces are in kcal/mol/angstrom": _KCAL,
    "the energies are in hartree": 1.0 / _HARTREE,
    "the energies are in kcal/mol": 1.0 / _KCAL,
    "the forces are in hartree/bohr": _HARTREE / _BOHR,
    "the positions are in bohr": _BOHR,
    "the positions are in angstrom, the forces per bohr": 1.0 / _BOHR,
    "the energies are in kJ/mol": 1.0 / _KJ,
    "the forces are in kJ/mol/angstrom": _KJ,
    "the forces are in kJ/mol/nm": 0.1 * _KJ,
    "the energies are in rydberg": 1.0 / _RYDBERG,
    "the forces are in rydberg/bohr": _RYDBERG / _BOHR,
    "the forces are in hartree/angstrom": _HARTREE,
    "the forces are in meV/angstrom": 1e-3,
    "the energies are in meV": 1e3,
}
"""Mistake -> change of energy over work of forces, if all else is in eV and Å."""

STRESS_FACTOR: dict[str, float] = {
    "the stress is in GPa": 1.0 / GPA,
    "the stress is in kbar": 10.0 / GPA,
    "the stress is in hartree/bohr^3": _BOHR**3 / _HARTREE,
    "the stress is in rydberg/bohr^3": _BOHR**3 / _RYDBERG,
    "the stress is in Pa": 1e9 / GPA,
}
"""Mistake -> number in the file over the stress in eV/Å³."""

FORCE_FACTOR: dict[str, float] = {
    "the forces are in kcal/mol/angstrom": 1.0 / _KCAL,
    "the forces are in hartree/bohr": _BOHR / _HARTREE,
    "the forces are in hartree/angstrom": 1.0 / _HARTREE,
    "the forces are in kJ/mol/angstrom": 1.0 / _KJ,
    "the forces are in rydberg/bohr": _BOHR / _RYDBERG,
    "the forces are in meV/angstrom": 1e3,
}
"""Mistake -> number in the file over the force in eV/Å."""


def explain(factor: float, known: Mapping[str, float], tolerance: float) -> str:
    """The mistakes whose factor is within `tolerance` (relative) of |factor|, nearest first."""
    distance = {name: abs(math.log(abs(factor) / value)) for name, value in known.items()}
    fitting = [name for name in distance if distance[name] < math.log1p(tolerance)]
    return " or ".join(sorted(fitting, key=distance.__getitem__)[:2])
