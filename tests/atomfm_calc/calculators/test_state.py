"""Cache, copies and side effects."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.errors import WeightsError
from tests.atomfm_calc.calculators.conftest import Make
from tests.made.models import make_model_folder


def test_an_unchanged_structure_is_not_computed_again(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.calc = make_calc()
    ethanol.get_forces()
    results = ethanol.calc.results
    ethanol.get_potential_energy()
    assert ethanol.calc.results is results


@pytest.mark.parametrize("key", ["charge", "multiplicity", "spin", "spin_multiplicity"])
def test_a_change_of_charge_or_multiplicity_in_info_is_seen(
    make_calc: Make, ethanol: Atoms, key: str
) -> None:
    ethanol.calc = make_calc("ions")
    ethanol.info[key] = {"charge": 0}.get(key, 1)
    neutral = ethanol.get_potential_energy()
    ethanol.info["charge"], ethanol.info["multiplicity"] = 1, 2
    for other in ("spin", "spin_multiplicity"):
        ethanol.info.pop(other, None)
    assert ethanol.get_potential_energy() != neutral


def test_other_keys_of_info_do_not_cost_a_calculation(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.calc = make_calc()
    ethanol.get_forces()
    results = ethanol.calc.results
    ethanol.info["label"] = np.arange(3)
    ethanol.get_forces()
    assert ethanol.calc.results is results


def test_the_callers_structure_is_not_touched(make_calc: Make, salt: Atoms) -> None:
    salt.positions += 20.0
    before = salt.copy()
    make_calc().get_stress(salt)
    assert salt == before
    assert salt.info == before.info
    assert set(salt.arrays) == set(before.arrays)


def test_torch_is_left_as_it_was(make_calc: Make, salt: Atoms) -> None:
    state = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    random = torch.get_rng_state()
    make_calc(default_dtype="float64").get_stress(salt)
    after = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    assert state == after
    assert torch.equal(random, torch.get_rng_state())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pickled_calculator_needs_no_file(
    tmp_path: Path, salt: Atoms, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model_folder(tmp_path / "here")
    calc = FoundationCalc(folder, default_dtype=dtype, device="cpu")
    expected = calc.get_forces(salt)
    packed = pickle.dumps(calc)
    folder.rename(tmp_path / "gone")
    twin = pickle.loads(packed)
    salt.positions += 0.0
    twin.reset()
    assert np.array_equal(twin.get_forces(salt), expected)
    assert twin.fingerprint() == calc.fingerprint()


def test_a_deep_copy_shares_weights_but_no_results(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc()
    first = calc.get_forces(salt)
    twin = copy.deepcopy(calc)
    moved = salt.copy()
    moved.rattle(0.1, seed=5)
    assert not np.array_equal(twin.get_forces(moved), first)
    assert np.array_equal(calc.results["forces"], first)
    assert twin._evaluator.model is calc._evaluator.model


def test_the_dictionary_builds_the_same_calculator(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc("crystals", default_dtype="float64", charge=0)
    content = json.loads(json.dumps(calc.todict()))
    twin = FoundationCalc.fromdict(content)
    assert twin.todict() == calc.todict()
    assert twin.get_potential_energy(salt) == calc.get_potential_energy(salt)


def test_the_dictionary_of_other_weights_is_refused(make_calc: Make) -> None:
    content = make_calc().todict() | {"weights_sha256": "0" * 64}
    with pytest.raises(WeightsError, match="the model was trained again"):
        FoundationCalc.fromdict(content)


def test_a_structure_with_results_can_be_written_and_read(
    make_calc: Make, salt: Atoms, tmp_path: Path
) -> None:
    salt.calc = make_calc()
    salt.get_stress()
    for name in ("one.traj", "one.extxyz", "one.json"):
        ase.io.write(tmp_path / name, salt)
        read = ase.io.read(tmp_path / name)
        assert read.get_potential_energy() == pytest.approx(salt.get_potential_energy(), abs=1e-8)


@pytest.mark.parametrize("skin", [0.0, 0.5, 2.0])
def test_the_skin_changes_no_result_along_a_walk(make_calc: Make, skin: float) -> None:
    copper = bulk("Cu", cubic=True)
    walker, fresh = (
        make_calc(skin=skin, default_dtype="float64"),
        make_calc(skin=0.0, default_dtype="float64"),
    )
    random = np.random.default_rng(0)
    for _ in range(6):
        copper.positions += random.normal(0.0, 0.1, copper.positions.shape)
        expected = fresh.get_forces(copper)
        assert walker.get_forces(copper) == pytest.approx(expected, abs=1e-12)
    if skin:
        assert walker._evaluator.cache.n_lists_made < 6


def test_one_calculator_serves_structures_of_the_same_size(make_calc: Make) -> None:
    calc = make_calc()
    first, second = bulk("Cu"), bulk("Al")
    energies = [calc.get_potential_energy(atoms) for atoms in (first, second, first)]
    assert energies[0] == energies[2] != energies[1]
