"""Samples: the door check, the composition key, and the way from and to ASE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from atomfm_calc.convert import (
    atoms_from_sample,
    charge_of,
    multiplicity_of,
    sample_from_atoms,
    voigt_stress,
)
from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample, composition_key
from tests.made.structures import STRUCTURES

WATER = STRUCTURES["water"]
SALT = STRUCTURES["rock salt"]


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_made_structure_passes_the_check(name: str) -> None:
    check_sample(STRUCTURES[name])


def test_labels_of_the_right_shape_pass_the_check() -> None:
    targets = {
        "energy": np.array(-1.0), "forces": np.zeros((2, 3)), "stress": np.zeros((3, 3)),
        "atom_energies": np.zeros(2),
    }  # fmt: skip
    check_sample(replace(SALT, targets=targets))


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample(atomic_numbers=np.array([], int), positions=np.zeros((0, 3))), "no atoms"),
        (replace(WATER, atomic_numbers=np.array([8, 1, 0])), "atomic numbers must be 1..118"),
        (replace(WATER, atomic_numbers=np.array([8, 1, 119])), "atomic numbers must be 1..118"),
        (
            replace(WATER, positions=np.zeros((2, 3))),
            r"positions have shape \(2, 3\), not \(3, 3\)",
        ),
        (replace(WATER, positions=WATER.positions * np.nan), "not finite"),
        (replace(SALT, cell=np.full((3, 3), np.inf)), "not finite"),
        (replace(WATER, multiplicity=0), "multiplicity is 0"),
        (replace(WATER, pbc=np.array([True, False, False])), "span no volume"),
        (replace(SALT, cell=SALT.cell[[0, 0, 2]]), "span no volume"),
        (
            replace(WATER, targets={"energie": np.array(0.0)}),
            "unknown target 'energie'; known: ene",
        ),
        (replace(WATER, targets={"energy": np.zeros(1)}), r"energy has shape \(1,\), not \(\)"),
        (replace(WATER, targets={"forces": np.zeros((2, 3))}), r"forces has shape .* not \(3, 3\)"),
        (replace(WATER, targets={"stress": np.zeros(6)}), r"stress has shape \(6,\)"),
        (replace(WATER, targets={"energy": np.array(np.nan)}), "energy is not finite"),
    ],
)
def test_a_sample_that_cannot_be_right_is_refused_with_its_source(
    sample: Sample, message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        check_sample(replace(sample, source="file.xyz#12"))
    assert str(error.value).startswith("file.xyz#12: ")


@pytest.mark.parametrize(
    ("symbols", "key"),
    [("H2O", "H2O"), ("OHH", "H2O"), ("Na4Cl4", "NaCl"), ("C2H6O", "H6C2O"), ("Fe", "Fe")],
)
def test_the_composition_key_is_the_reduced_formula_by_atomic_number(
    symbols: str, key: str
) -> None:
    assert composition_key(sample_from_atoms(Atoms(symbols))) == key


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_sample_survives_the_way_through_ase(name: str) -> None:
    before = STRUCTURES[name]
    after = sample_from_atoms(atoms_from_sample(before))
    for field in ("atomic_numbers", "positions", "cell", "pbc"):
        assert np.array_equal(getattr(after, field), getattr(before, field)), field
    assert (after.charge, after.multiplicity) == (before.charge, before.multiplicity)


def test_a_sample_shares_no_memory_with_the_atoms() -> None:
    atoms = Atoms("CO", positions=[(0, 0, 0), (0, 0, 1.1)], cell=(4, 4, 4), pbc=True)
    sample = sample_from_atoms(atoms)
    atoms.positions += 1.0
    atoms.set_cell((5, 5, 5))
    atoms.pbc = False
    assert sample.positions[1, 2] == 1.1
    assert sample.cell[0, 0] == 4.0
    assert sample.pbc.all()


@pytest.mark.parametrize(
    "value", [-1, -1.0, np.int64(-1), np.array(-1), np.array([-1.0])], ids=repr
)
def test_a_charge_may_be_any_whole_number(value: object) -> None:
    assert charge_of(Atoms("O", info={"charge": value})) == -1


@pytest.mark.parametrize("value", [0.5, "1", np.array([1, 2]), None, True], ids=repr)
def test_a_charge_that_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match=r"atoms.info\['charge'\]"):
        charge_of(Atoms("O", info={"charge": value}))


def test_the_multiplicity_is_found_under_each_of_its_names() -> None:
    for key in ("multiplicity", "spin_multiplicity", "spin"):
        assert multiplicity_of(Atoms("O", info={key: 3})) == 3
    assert multiplicity_of(Atoms("O")) is None


def test_two_names_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(DataError, match="contradicts itself"):
        multiplicity_of(Atoms("O", info={"multiplicity": 3, "spin": 1}))


def test_the_six_numbers_of_a_stress_are_in_the_order_of_ase() -> None:
    stress = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    assert voigt_stress(stress).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
