"""Equations of state, against energies made by one, and the stress of the same potential."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT

from atomfm_calc.errors import ConfigError, PropertyError, UnknownNameError, WorkflowError
from atomfm_calc.units import GPA
from atomfm_calc.workflows.equation_of_state import (
    EQUATIONS,
    EquationOfStateSettings,
    equation_of_state,
    fit_equation_of_state,
)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_a_fit_finds_the_parameters_behind_the_energies(equation: str) -> None:
    parameters = (-7.0, 80.0 * GPA, 4.5, 41.0)  # eV, eV/Å³, 1, Å³
    volumes = np.linspace(37.0, 45.0, 9)
    fit = fit_equation_of_state(volumes, EQUATIONS[equation](volumes, *parameters), equation)
    assert fit.volume == pytest.approx(41.0, rel=1e-6)
    assert fit.energy == pytest.approx(-7.0)
    assert fit.bulk_modulus_GPa == pytest.approx(80.0, rel=1e-5)
    assert fit.bulk_modulus_derivative == pytest.approx(4.5, rel=1e-4)
    assert fit.rms_error_meV < 1e-4
    assert fit.energies(41.0) == pytest.approx(-7.0)


def test_volume_and_bulk_modulus_agree_with_the_stress_of_the_same_potential() -> None:
    result = equation_of_state(bulk("Cu"), EMT(), EquationOfStateSettings(volume_range=0.04))
    pressures = []
    for change in (1.0, 0.999, 1.001):
        atoms = result.atoms.copy()
        atoms.set_cell(atoms.cell * change ** (1 / 3), scale_atoms=True)
        atoms.calc = EMT()
        pressures.append(-atoms.get_stress()[:3].mean() / GPA)
    assert pressures[0] == pytest.approx(0.0, abs=0.02)
    modulus = (pressures[1] - pressures[2]) / 0.002  # -V dp/dV
    assert result.fit.bulk_modulus_GPa == pytest.approx(modulus, rel=5e-3)


def test_atoms_that_symmetry_does_not_hold_are_relaxed_at_each_volume(tmp_path: Path) -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.05, seed=0)
    exact = equation_of_state(bulk("Cu"), EMT()).volume_per_atom
    settings = EquationOfStateSettings(n_points=5)
    relaxed = equation_of_state(atoms, EMT(), settings, keep=tmp_path / "kept.traj")
    held = equation_of_state(atoms, EMT(), EquationOfStateSettings(relax_positions=False))
    assert relaxed.volume_per_atom == pytest.approx(exact, rel=2e-4)
    assert abs(held.volume_per_atom - exact) > 1e-3 * exact


def test_nothing_is_extrapolated() -> None:
    stretched: Atoms = bulk("Cu", a=4.0)
    with pytest.raises(WorkflowError, match="lowest at the smallest of the volumes"):
        equation_of_state(stretched, EMT())
    with pytest.raises(WorkflowError, match="lowest at the largest of the volumes"):
        equation_of_state(bulk("Cu", a=3.3), EMT())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PropertyError, match="needs a crystal"):
        equation_of_state(molecule("N2"), EMT())
    with pytest.raises(UnknownNameError, match="no equation of state 'bm'"):
        EquationOfStateSettings(equation="bm")
    with pytest.raises(ConfigError, match="n_points 4"):
        EquationOfStateSettings(n_points=4)
