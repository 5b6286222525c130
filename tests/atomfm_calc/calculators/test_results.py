"""The numbers that the calculator hands to ASE."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from tests.atomfm_calc.calculators.conftest import Make
from tests.made.tolerances import DIFFERENCES, TOLERANCES

SINGLE = TOLERANCES[torch.float32]


@pytest.mark.parametrize("kernel", ["reference", None])
def test_forces_are_minus_the_numerical_gradient(
    make_calc: Make, ethanol: Atoms, kernel: str | None
) -> None:
    ethanol.calc = make_calc(default_dtype="float64", kernel=kernel)
    expected = calculate_numerical_forces(ethanol, eps=1e-4)
    assert ethanol.get_forces() == pytest.approx(expected, abs=DIFFERENCES.forces)


def test_stress_is_the_numerical_gradient_in_the_order_and_sign_of_ase(
    make_calc: Make, salt: Atoms
) -> None:
    salt.calc = make_calc(default_dtype="float64")
    expected = calculate_numerical_stress(salt, eps=1e-5)
    assert salt.get_stress().shape == (6,)
    assert salt.get_stress() == pytest.approx(expected, abs=DIFFERENCES.stress)


def test_atom_energies_add_up_to_the_energy(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.calc = make_calc()
    assert ethanol.get_potential_energies().sum() == pytest.approx(
        ethanol.get_potential_energy(), abs=1e-12
    )


def test_the_free_energy_is_the_energy(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.calc = make_calc()
    energy = ethanol.get_potential_energy()
    assert isinstance(energy, float)
    assert ethanol.get_potential_energy(force_consistent=True) == energy


def test_single_and_double_precision_agree(make_calc: Make, salt: Atoms) -> None:
    single, double = make_calc(default_dtype="float32"), make_calc(default_dtype="float64")
    assert single.get_potential_energy(salt) == pytest.approx(
        double.get_potential_energy(salt), abs=SINGLE.energy_eV
    )
    assert single.get_forces(salt) == pytest.approx(double.get_forces(salt), abs=SINGLE.forces)
    assert single.get_stress(salt) == pytest.approx(double.get_stress(salt), abs=SINGLE.stress)


def test_a_molecule_far_from_the_origin_keeps_its_forces(make_calc: Make, ethanol: Atoms) -> None:
    near = make_calc().get_forces(ethanol)
    ethanol.positions += 3000.0
    assert make_calc().get_forces(ethanol) == pytest.approx(near, abs=SINGLE.forces)


def test_a_lone_atom_has_its_reference_energy_and_no_force(make_calc: Make) -> None:
    argon = Atoms("Ar", positions=[(1.0, 2.0, 3.0)])
    argon.calc = make_calc()
    assert argon.get_potential_energy() < 0.0
    assert argon.get_forces().tolist() == [[0.0, 0.0, 0.0]]


def test_only_what_is_asked_for_is_computed(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc()
    calc.get_potential_energy(salt)
    assert "forces" not in calc.results
    calc.get_forces(salt)
    assert "stress" not in calc.results
    calc.get_stress(salt)
    assert {"energy", "forces", "stress"} <= set(calc.results)


def test_results_can_be_exported_and_are_copies(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc()
    calc.get_stress(salt)
    assert set(calc.export_properties()) == {"natoms", *calc.implemented_properties}
    calc.get_forces(salt)[:] = np.nan
    assert np.isfinite(calc.get_forces(salt)).all()


def test_the_hessian_is_the_gradient_of_the_forces(make_calc: Make) -> None:
    calc, water = make_calc(default_dtype="float64"), Atoms("OH", [(0, 0, 0), (0.1, 0.2, 0.95)])
    step, columns = 1e-4, []
    for sign in (1, -1):
        moved = water.copy()
        moved.positions[1, 2] += sign * step
        columns.append(calc.get_forces(moved).ravel())
    expected = -(columns[0] - columns[1]) / (2 * step)
    hessian = calc.get_hessian(water)
    assert hessian.shape == (6, 6)
    assert hessian[5] == pytest.approx(expected, abs=1e-5)


def test_other_calculators_keep_their_list_of_properties(make_calc: Make) -> None:
    make_calc()
    assert BaseCalculator.implemented_properties == []
