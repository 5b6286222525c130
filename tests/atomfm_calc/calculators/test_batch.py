"""Many structures at once are many structures one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import molecule

import atomfm_calc
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.errors import UnsupportedElementError
from tests.atomfm_calc.calculators.conftest import Make
from tests.made.structures import NEUTRAL, STRUCTURES
from tests.made.tolerances import TOLERANCES

SETTINGS = CalculatorSettings(
    head="everything", device="cpu", kernel="reference", default_dtype="float64"
)
DOUBLE = TOLERANCES[torch.float64]


@pytest.mark.parametrize("max_edges", [1, 200, 100_000])
def test_a_ragged_list_gives_the_single_results_in_order(
    model_folder: Path, make_calc: Make, max_edges: int
) -> None:
    structures = [atoms_from_sample(STRUCTURES[name]) for name in NEUTRAL]
    results = atomfm_calc.predict_many(
        structures,
        model_folder,
        SETTINGS,
        want=("energy", "forces", "stress"),
        max_edges=max_edges,
    )
    calc = make_calc(default_dtype="float64")
    for atoms, result in zip(structures, results, strict=True):
        energy = calc.get_potential_energy(atoms)
        assert result.energy == pytest.approx(energy, abs=DOUBLE.energy_eV)
        assert result.forces == pytest.approx(calc.get_forces(atoms), abs=DOUBLE.forces)
        assert (result.stress is None) == (not atoms.pbc.all())
        if result.stress is not None:
            voigt = result.stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
            assert voigt == pytest.approx(calc.get_stress(atoms), abs=DOUBLE.stress)


def test_stress_of_molecules_alone_is_none(model_folder: Path) -> None:
    results = atomfm_calc.predict_many(
        [molecule("H2O"), molecule("CH4")], model_folder, SETTINGS, want=("energy", "stress")
    )
    assert [result.stress for result in results] == [None, None]


def test_an_impossible_structure_is_named_by_its_index(model_folder: Path) -> None:
    with pytest.raises(UnsupportedElementError, match="structure 1: head 'everything'"):
        atomfm_calc.predict_many([molecule("H2O"), molecule("SO2")], model_folder, SETTINGS)


def test_no_structures_give_no_results(model_folder: Path) -> None:
    assert atomfm_calc.predict_many([], model_folder, SETTINGS) == []


def test_atom_energies_belong_to_their_structure(model_folder: Path) -> None:
    structures = [molecule("H2O"), molecule("CH4")]
    for result in atomfm_calc.predict_many(structures, model_folder, SETTINGS):
        assert np.sum(result.atom_energies) == pytest.approx(result.energy, abs=1e-12)
