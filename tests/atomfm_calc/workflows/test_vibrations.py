"""Vibrations, against a closed form and against ASE's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import add_adsorbate, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.constraints import FixAtoms
from ase.vibrations import Vibrations

from atomfm_calc.errors import ConfigError, StructureError
from atomfm_calc.workflows.vibrations import VibrationSettings, vibrations


class WithHessian(MorsePotential):
    """Morse's potential that knows its second derivatives at a minimum of two atoms along x."""

    def get_hessian(self, atoms: Atoms) -> np.ndarray:
        stiffness = 2.0 * self.parameters.epsilon * (self.parameters.rho0 / self.parameters.r0) ** 2
        second = np.zeros((6, 6))
        second[np.ix_([0, 3], [0, 3])] = stiffness * np.array([[1.0, -1.0], [-1.0, 1.0]])
        return second


MORSE = {"epsilon": 9.9, "r0": 1.1, "rho0": 3.0}


@pytest.mark.parametrize("calculator", [MorsePotential(**MORSE), WithHessian(**MORSE)])
def test_two_atoms_on_a_spring_have_one_frequency(calculator: Any) -> None:
    nitrogen = Atoms("N2", [[0, 0, 0], [1.12, 0, 0]])
    result = vibrations(nitrogen, calculator)
    # k = 2 epsilon (rho0 / r0)², reduced mass 14.007 / 2 u; the quantum hbar sqrt(k / m)
    stiffness = 2.0 * 9.9 * (3.0 / 1.1) ** 2 * units._e * 1e20  # J/m²
    quantum = units._hbar * np.sqrt(stiffness / (14.007 / 2 * units._amu)) / units._e  # eV
    assert result.frequencies_per_cm == pytest.approx([quantum / units.invcm], rel=1e-3)
    assert result.zero_point_energy == pytest.approx(quantum / 2.0, rel=1e-3)
    assert len(result.rigid_frequencies_per_cm) == 5
    assert np.abs(result.rigid_frequencies_per_cm).max() < 20.0


def test_frequencies_are_those_of_ase(tmp_path: Path) -> None:
    result = vibrations(molecule("H2O"), EMT(), keep=tmp_path / "kept.traj")
    atoms = result.atoms.copy()
    atoms.calc = EMT()
    own = Vibrations(atoms, delta=0.005, name=str(tmp_path / "vib"))
    own.run()
    assert len(result.rigid_frequencies_per_cm) == 6
    assert result.frequencies_per_cm == pytest.approx(own.get_frequencies()[-3:].real, rel=1e-3)
    assert result.n_imaginary == 0


def test_a_mode_is_a_motion_and_no_translation() -> None:
    result = vibrations(molecule("H2O"), EMT())
    masses = result.atoms.get_masses()
    assert np.allclose(np.einsum("mnx,n->mx", result.modes, masses), 0.0, atol=1e-8)
    assert np.allclose(np.linalg.norm(result.modes.reshape(3, -1), axis=1), 1.0)


def test_fixed_atoms_do_not_vibrate_and_leave_no_rigid_motion() -> None:
    slab = fcc111("Cu", (1, 1, 2), vacuum=6.0)
    add_adsorbate(slab, "H", 1.0, "fcc")
    slab.set_constraint(FixAtoms([0, 1]))
    result = vibrations(slab, EMT())
    assert result.modes.shape == (3, 3, 3)
    assert np.array_equal(result.modes[:, :2], np.zeros((3, 2, 3)))
    assert len(result.rigid_frequencies_per_cm) == 0
    assert result.n_imaginary == 0


def test_a_saddle_point_has_an_imaginary_frequency() -> None:
    # three atoms in a line stay there when relaxed, but the triangle is the minimum
    line = Atoms("Ar3", [[0, 0, 0], [3.8, 0, 0], [7.6, 0, 0]])
    result = vibrations(line, LennardJones(sigma=3.4, epsilon=0.0104, rc=12.0))
    assert len(result.frequencies_per_cm) == 4
    assert result.n_imaginary == 2
    assert (result.frequencies_per_cm < -1.0).tolist() == [True, True, False, False]


def test_what_cannot_be_is_refused() -> None:
    fixed = molecule("H2O")
    fixed.set_constraint(FixAtoms([0, 1, 2]))
    with pytest.raises(StructureError, match="all atoms are fixed"):
        vibrations(fixed, EMT())
    with pytest.raises(ConfigError, match="displacement 0"):
        VibrationSettings(displacement=0.0)
