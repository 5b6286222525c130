"""The torch-sim door: as the ASE calculator, as torch-sim's own checks want it, and at work."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import ChargeError, UnsupportedElementError
from tests.made.structures import ROTATION

ts = pytest.importorskip("torch_sim", reason="the extra torchsim is not installed")
torchsim = import_module("atomfm_calc.calculators.torchsim")

CLOSE = 1e-6
"""eV, eV/Å, eV/Å³"""


def _model(folder: Path, head: str = "everything", **changes: object) -> object:
    settings = {"head": head, "device": "cpu", "default_dtype": "float64", "kernel": "reference"}
    return torchsim.TorchSimModel(folder, CalculatorSettings(**(settings | changes)))


def _state(*structures: Atoms, **extras: list[int]) -> object:
    state = ts.io.atoms_to_state(list(structures), torch.device("cpu"), torch.float64)
    if extras:
        state.store_model_extras({key: torch.tensor(value) for key, value in extras.items()})
    return state


def _crystals() -> list[Atoms]:
    """Of different sizes; a skewed cell, an atom far outside, a cell turned in space."""
    skewed, iron, salt = bulk("Si"), bulk("Fe"), bulk("NaCl", "rocksalt", a=5.4, cubic=True)
    rows = skewed.cell.array.copy()
    skewed.set_cell([rows[0], rows[1], rows[2] + 2 * rows[0] - rows[1]])
    salt.set_cell(salt.cell.array @ ROTATION, scale_atoms=True)
    salt.positions[3] += 2 * salt.cell.array[1]
    for crystal in (skewed, iron, salt):
        crystal.rattle(0.05, seed=1)
    return [skewed, iron, salt]


def test_a_batch_has_the_results_of_the_ase_calculator(model_folder: Path) -> None:
    crystals = _crystals()
    output = _model(model_folder)(_state(*crystals))
    forces = output["forces"].split([len(crystal) for crystal in crystals])
    calc = FoundationCalc(model_folder, head="everything", device="cpu", default_dtype="float64")
    for index, crystal in enumerate(crystals):
        crystal.calc = calc
        assert output["energy"][index].item() == pytest.approx(
            crystal.get_potential_energy(), CLOSE
        )
        np.testing.assert_allclose(forces[index], crystal.get_forces(), atol=CLOSE)
        stress = crystal.get_stress(voigt=False)
        np.testing.assert_allclose(output["stress"][index], stress, atol=CLOSE)


def test_outputs_are_what_torch_sim_validates(model_folder: Path) -> None:
    validate = ts.models.interface.validate_model_outputs
    model = _model(model_folder, allow_unseen_elements=True)
    validate(model, torch.device("cpu"), torch.float64)


def test_the_calculator_is_consistent_by_the_measure_of_torch_sim(model_folder: Path) -> None:
    testing = pytest.importorskip("torch_sim.testing", reason="not part of torch-sim 0.3")
    settings = {"head": "everything", "device": "cpu", "allow_unseen_elements": True}
    model = _model(model_folder, allow_unseen_elements=True)
    calc = FoundationCalc(model_folder, default_dtype="float64", **settings)
    states = [
        make(torch.device("cpu"), torch.float64) for make in testing.SIMSTATE_GENERATORS.values()
    ]
    crystals = [state for state in states if state.pbc.all()]
    assert len(crystals) > 5
    for state in crystals:
        testing.assert_model_calculator_consistency(
            model, calc, state, *[testing.ModelTolerance.TIGHT] * 6
        )


def test_molecules_have_no_stress(model_folder: Path) -> None:
    output = _model(model_folder)(_state(molecule("H2O"), molecule("CH4")))
    assert output["stress"].shape == (2, 3, 3)
    assert output["stress"].isnan().all()
    assert output["forces"].isfinite().all()


def test_a_moved_state_is_computed_anew_with_the_same_list(model_folder: Path) -> None:
    model, crystals = _model(model_folder), _crystals()
    state = _state(*crystals)
    model(state)
    state.positions = state.positions + 0.02 * torch.sin(torch.arange(3.0))
    state.positions[0] += 0.1
    fresh = _model(model_folder)(state)
    assert torch.allclose(model(state)["forces"], fresh["forces"], atol=1e-12)
    assert [cache.n_lists_made for cache in model._caches] == [1, 1, 1]


def test_charge_and_multiplicity_of_each_system_count(model_folder: Path) -> None:
    if not hasattr(ts.SimState, "store_model_extras"):
        pytest.skip("torch-sim 0.3 keeps no charge")
    water, hydroxide = molecule("H2O"), molecule("OH")
    model = _model(model_folder, head="ions")
    output = model(_state(water, hydroxide, charge=[0, -1], spin=[1, 1]))
    hydroxide.info.update(charge=-1, multiplicity=1)
    hydroxide.calc = FoundationCalc(
        model_folder, head="ions", device="cpu", default_dtype="float64"
    )
    assert output["energy"][1].item() == pytest.approx(hydroxide.get_potential_energy(), CLOSE)
    with pytest.raises(ChargeError, match="system 1: .* electrons"):
        model(_state(water, hydroxide))
    with pytest.raises(ChargeError, match="'total_charge', which is not read"):
        model(_state(water, total_charge=[0]))


def test_an_element_that_the_head_has_not_seen_is_refused(model_folder: Path) -> None:
    with pytest.raises(UnsupportedElementError, match="system 1: .*'molecules'"):
        _model(model_folder, head="molecules")(_state(molecule("H2O"), molecule("NaCl")))


def test_a_batch_is_relaxed_and_then_heated(model_folder: Path) -> None:
    crystals, model = _crystals(), _model(model_folder)
    before = model(_state(*crystals))["energy"]
    relaxed = ts.optimize(crystals, model, optimizer=_named("Optimizer", "fire"), max_steps=20)
    assert (relaxed.energy <= before + 1e-10).all()  # iron has one atom, and no forces
    assert relaxed.energy[2] < before[2] - 1e-4
    final = ts.integrate(
        relaxed, model, integrator=_named("Integrator", "nvt_langevin"),
        n_steps=5, timestep=0.001, temperature=300.0,
    )  # fmt: skip
    assert final.positions.shape == relaxed.positions.shape
    assert not torch.equal(final.positions, relaxed.positions)
    assert final.energy.isfinite().all()


def _named(table: str, name: str) -> object:
    """An entry of one of torch-sim's enumerations; in 0.3 a function of the module so called."""
    return getattr(getattr(ts, table if hasattr(ts, table) else f"{table.lower()}s"), name)
