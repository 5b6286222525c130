"""`head="mixture"`: weights, energies, derivatives, flags, and the calculator's contract."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from atomfm_calc.calculators.batch import predict_many
from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import (
    SetupError,
    StructureError,
    UnknownCompositionError,
    WeightsError,
)
from tests.atomfm_calc.calculators.conftest import Make
from tests.made.models import make_mixture_folder
from tests.made.tolerances import DIFFERENCES, STEP

SETTINGS = CalculatorSettings(
    head="mixture", device="cpu", default_dtype="float64", kernel="reference"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mixture_folder(tmp_path_factory.mktemp("mixture") / "tiny")


@pytest.fixture
def calc(folder: Path) -> FoundationCalc:
    return FoundationCalc.from_settings(folder, SETTINGS)


def test_forces_and_stress_are_the_slopes_of_the_mixed_energy(
    calc: FoundationCalc, salt: Atoms, ethanol: Atoms
) -> None:
    for atoms in (salt, ethanol):
        atoms.calc = calc
        slopes = calculate_numerical_forces(atoms, eps=STEP)
        assert atoms.get_forces() == pytest.approx(slopes, abs=DIFFERENCES.forces)
        assert np.abs(slopes).max() > 0.01
    slopes = calculate_numerical_stress(salt, eps=STEP)
    assert salt.get_stress() == pytest.approx(slopes, abs=DIFFERENCES.stress)


def test_the_mixture_is_the_weighted_mean_above_references(
    calc: FoundationCalc, ethanol: Atoms
) -> None:
    weights, comparison = calc.head_weights(ethanol), calc.evaluate_heads(ethanol)
    energies, forces = comparison.energies_above_references, comparison.forces or {}
    assert calc.get_potential_energy(ethanol) == pytest.approx(
        sum(weights[head] * energies[head] for head in comparison.heads), abs=1e-10
    )
    mixed = sum(weights[head] * forces[head] for head in comparison.heads)
    assert calc.get_forces(ethanol) == pytest.approx(mixed, abs=1e-10)
    assert calc.get_potential_energies(ethanol).sum() == pytest.approx(
        calc.get_potential_energy(ethanol), abs=1e-10
    )


def test_heads_that_may_not_compute_a_structure_have_no_weight(
    calc: FoundationCalc, salt: Atoms, ethanol: Atoms
) -> None:
    cation = ethanol.copy()
    cation.info.update(charge=1, multiplicity=2)
    for atoms, excluded in [
        (salt, {"molecules", "ions"}),
        (ethanol, {"crystals"}),
        (cation, {"crystals", "molecules", "everything"}),
    ]:
        mixture = calc.explain_mixture(atoms)
        assert sum(mixture.weights.values()) == pytest.approx(1.0, abs=1e-14)
        assert {head for head, weight in mixture.weights.items() if weight == 0.0} == excluded
        assert set(mixture.excluded) == excluded
    assert "was not trained on charge +1" in mixture.excluded["molecules"]


def test_a_periodicity_that_a_head_never_saw_takes_its_weight(calc: FoundationCalc) -> None:
    gas, solid = Atoms("O2", [(0, 0, 0), (0, 0, 1.2)]), Atoms("O2", [(0, 0, 0), (0, 0, 1.2)])
    solid.set_cell([4.0, 4.0, 4.0])
    solid.pbc = True
    assert calc.explain_mixture(gas).excluded["crystals"] == "has seen no molecules"
    assert "has seen no crystals" in calc.explain_mixture(solid).excluded["molecules"]


def test_a_structure_that_no_head_knows_is_an_error(calc: FoundationCalc) -> None:
    with pytest.raises(StructureError, match=r"no head of tiny .* can compute Og: crystals has"):
        calc.get_potential_energy(Atoms("Og"))


def test_copies_and_supercells_have_the_weights_of_one(calc: FoundationCalc, salt: Atoms) -> None:
    one, eight = calc.get_potential_energy(salt), calc.get_potential_energy(salt * 2)
    assert eight == pytest.approx(8 * one, abs=1e-9)


def test_a_batch_of_many_compositions_is_each_alone(
    calc: FoundationCalc, folder: Path, salt: Atoms, ethanol: Atoms
) -> None:
    cation = ethanol.copy()
    cation.info.update(charge=1, multiplicity=2)
    structures = [ethanol, salt, Atoms("Ar"), cation, molecule("H2O")]
    for atoms, result in zip(structures, predict_many(structures, folder, SETTINGS), strict=True):
        assert result.energy == pytest.approx(calc.get_potential_energy(atoms), abs=1e-10)
        assert result.forces == pytest.approx(calc.get_forces(atoms), abs=1e-10)


def test_a_strange_composition_is_told_once(
    calc: FoundationCalc, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        calc.get_forces(bulk("Fe", cubic=True))
        calc.get_forces(bulk("Fe", cubic=True))
        calc.get_forces(molecule("CH3CH2OH"))
    (record,) = caplog.records
    assert "Fe2 is outside the training set of the gate of tiny 0.0.1" in record.message
    assert "trained on no Fe" in record.message


def test_a_strange_composition_is_refused_if_the_settings_say_so(folder: Path) -> None:
    calc = FoundationCalc.from_settings(folder, replace(SETTINGS, outside_gate="error"))
    with pytest.raises(UnknownCompositionError, match="trained on no Fe"):
        calc.get_potential_energy(bulk("Fe"))
    # nearest is ethanol: 1/2, 1/2 instead of 2/9, 6/9, 1/9
    with pytest.raises(UnknownCompositionError, match=r"28 % of the atoms other \(20 % are usual"):
        calc.get_potential_energy(molecule("C2H2"))
    assert np.isfinite(calc.get_potential_energy(molecule("H2O")))


def test_a_model_without_a_gate_says_how_to_make_one(make_calc: Make, ethanol: Atoms) -> None:
    with pytest.raises(SetupError, match="python -m training gate"):
        make_calc("mixture")
    with pytest.raises(SetupError, match="python -m training gate"):
        make_calc("ions").head_weights(ethanol)
    with pytest.raises(SetupError, match="outside_gate is 'ignore'; use 'warn' or 'error'"):
        make_calc("ions", outside_gate="ignore")


def test_every_copy_computes_the_same(calc: FoundationCalc, ethanol: Atoms, folder: Path) -> None:
    expected = calc.get_forces(ethanol)
    content = json.loads(json.dumps(calc.todict()))
    for twin in (
        copy.deepcopy(calc),
        pickle.loads(pickle.dumps(calc)),
        FoundationCalc.fromdict(content),
    ):
        twin.reset()
        assert np.array_equal(twin.get_forces(ethanol), expected)
        assert twin.fingerprint() == calc.fingerprint()
        assert twin.todict() == calc.todict()
    assert calc.fingerprint()["head"] == "mixture"
    with pytest.raises(WeightsError, match="has gate_sha256 .*the description asks for 0"):
        FoundationCalc.fromdict(content | {"gate_sha256": "0"})


def test_a_charge_in_info_costs_a_calculation(calc: FoundationCalc, ethanol: Atoms) -> None:
    ethanol.calc = calc
    neutral = ethanol.get_potential_energy()
    results = calc.results
    ethanol.get_forces()
    ethanol.info["charge"], ethanol.info["multiplicity"] = 1, 2
    assert ethanol.get_potential_energy() != neutral
    assert calc.results is not results


def test_weights_of_a_gate_that_reads_counts_change_with_the_size(
    tmp_path: Path, salt: Atoms
) -> None:
    calc = FoundationCalc(make_mixture_folder(tmp_path / "counts", "counts"), head="mixture")
    assert calc.head_weights(salt) != calc.head_weights(salt * 2)


def test_second_derivatives_are_those_of_the_mixed_forces(
    calc: FoundationCalc, ethanol: Atoms
) -> None:
    hessian = calc.get_hessian(ethanol)
    moved = ethanol.copy()
    moved.positions[0, 0] += STEP
    upper = calc.get_forces(moved)
    moved.positions[0, 0] -= 2 * STEP
    slope = -(upper - calc.get_forces(moved)).ravel() / (2 * STEP)
    assert hessian[0] == pytest.approx(slope, abs=1e-5)


def test_heads_deviate_from_the_mixture_where_there_is_one(
    calc: FoundationCalc, make_calc: Make, ethanol: Atoms
) -> None:
    comparison = calc.evaluate_heads(ethanol)
    assert (comparison.center_name, comparison.weights) == ("mixture", calc.head_weights(ethanol))
    assert comparison.center_energy == pytest.approx(calc.get_potential_energy(ethanol), abs=1e-10)
    assert comparison.center_forces == pytest.approx(calc.get_forces(ethanol), abs=1e-10)
    assert calc.evaluate_heads(ethanol, heads=["ions", "molecules"]).weights is None
    with pytest.raises(SetupError, match="the mixture is no head of its own"):
        calc.evaluate_heads(ethanol, heads="mixture")
    plain = make_calc().evaluate_heads(ethanol)
    assert plain.center_name == "mean"
    assert sum(plain.energy_deviations.values()) == pytest.approx(0.0, abs=1e-9)
    root = np.sqrt(np.mean(np.square(list(plain.force_deviations.values()))))
    spread = np.sqrt(np.mean(np.square(plain.force_spread)))
    assert root == pytest.approx(spread, rel=1e-6)
