"""Conversion factors against the CODATA 2018 values, written out."""

from __future__ import annotations

import pytest

from atomfm_calc.errors import UnknownNameError
from atomfm_calc.properties import PROPERTIES
from atomfm_calc.units import energy_factor, length_factor, stress_factor


# CODATA 2018: Hartree 27.211386245988 eV, Bohr 0.529177210903 Å, e 1.602176634e-19 C,
# Avogadro 6.02214076e23; 1 kcal = 4184 J. ASE 3.29 rounds from CODATA 2014, relative 1e-8.
@pytest.mark.parametrize(
    ("factor", "unit", "value"),
    [
        (energy_factor, "eV", 1.0),
        (energy_factor, "meV", 1e-3),
        (energy_factor, "hartree", 27.211386245988),
        (energy_factor, "rydberg", 13.605693122994),
        (energy_factor, "kcal/mol", 4184.0 / (6.02214076e23 * 1.602176634e-19)),
        (energy_factor, "kJ/mol", 1000.0 / (6.02214076e23 * 1.602176634e-19)),
        (length_factor, "angstrom", 1.0),
        (length_factor, "bohr", 0.529177210903),
        (length_factor, "nm", 10.0),
        (stress_factor, "eV/angstrom^3", 1.0),
        (stress_factor, "GPa", 1e9 * 1e-30 / 1.602176634e-19),
        (stress_factor, "kbar", 1e8 * 1e-30 / 1.602176634e-19),
    ],
)
def test_a_declared_unit_converts_to_ev_and_angstrom(factor, unit: str, value: float) -> None:
    assert factor(unit) == pytest.approx(value, rel=2e-8)


@pytest.mark.parametrize("factor", [energy_factor, length_factor, stress_factor])
def test_an_undeclared_unit_is_refused(factor) -> None:
    with pytest.raises(UnknownNameError, match="unit 'ev/ang'"):
        factor("ev/ang")


def test_properties_are_keyed_by_their_own_name() -> None:
    assert [key for key, entry in PROPERTIES.items() if key != entry.name] == []
    assert {entry.level for entry in PROPERTIES.values()} == {"structure", "atom"}
