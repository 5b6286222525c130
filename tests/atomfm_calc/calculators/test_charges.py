"""Total charge and multiplicity: where they come from and what is refused."""

from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import molecule

from atomfm_calc.errors import ChargeError
from tests.atomfm_calc.calculators.conftest import Make


@pytest.fixture
def hydroxyl() -> Atoms:
    return molecule("OH")


def test_arguments_and_info_give_the_same_energy(make_calc: Make, hydroxyl: Atoms) -> None:
    by_argument = make_calc("ions", charge=-1).get_potential_energy(hydroxyl)
    hydroxyl.info["charge"] = -1
    assert make_calc("ions").get_potential_energy(hydroxyl) == by_argument


def test_charge_and_multiplicity_matter_to_a_head_that_uses_them(make_calc: Make) -> None:
    oxygen = molecule("O2")
    energies = {
        multiplicity: make_calc("ions", multiplicity=multiplicity).get_potential_energy(oxygen)
        for multiplicity in (1, 3)
    }
    assert energies[1] != energies[3]


def test_contradicting_argument_and_info_are_refused(make_calc: Make, hydroxyl: Atoms) -> None:
    hydroxyl.info["charge"] = 1
    with pytest.raises(ChargeError, match="built with charge=-1, but atoms.info says 1"):
        make_calc("ions", charge=-1).get_potential_energy(hydroxyl)


def test_contradicting_keys_of_info_are_refused(make_calc: Make, hydroxyl: Atoms) -> None:
    hydroxyl.info.update(multiplicity=2, spin=1)
    with pytest.raises(ChargeError, match="contradicts itself"):
        make_calc("ions").get_potential_energy(hydroxyl)


def test_a_head_without_charges_refuses_an_ion_and_names_those_that_know_it(
    make_calc: Make, hydroxyl: Atoms
) -> None:
    hydroxyl.info["charge"] = -1
    with pytest.raises(ChargeError, match="'molecules' was not trained on charge -1.*: ions"):
        make_calc("molecules").get_potential_energy(hydroxyl)


def test_a_charge_that_the_head_has_not_seen_is_refused(make_calc: Make, hydroxyl: Atoms) -> None:
    with pytest.raises(ChargeError, match="charge 2; it knows -1, 0, 1"):
        make_calc("ions", charge=2).get_potential_energy(hydroxyl)


def test_an_odd_number_of_electrons_asks_for_a_multiplicity(
    make_calc: Make, hydroxyl: Atoms
) -> None:
    with pytest.raises(ChargeError, match="9 electrons.*must be even.*Set multiplicity=2"):
        make_calc("ions").get_potential_energy(hydroxyl)


def test_an_impossible_multiplicity_is_refused(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.info["spin"] = 2
    with pytest.raises(ChargeError, match="26 electrons.*must be odd; it is 2"):
        make_calc("ions").get_potential_energy(ethanol)


def test_a_head_that_ignores_spin_computes_radicals(make_calc: Make, hydroxyl: Atoms) -> None:
    assert make_calc("molecules").get_potential_energy(hydroxyl) < 0.0


@pytest.mark.parametrize(("key", "value"), [("charge", 0.5), ("charge", "one"), ("spin", 0)])
def test_a_value_that_is_no_number_of_its_kind_is_refused(
    make_calc: Make, hydroxyl: Atoms, key: str, value: object
) -> None:
    hydroxyl.info[key] = value
    with pytest.raises(ChargeError, match="whole number|2S\\+1"):
        make_calc("ions").get_potential_energy(hydroxyl)
