"""Many structures at once are many structures one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

import atomfm_calc
from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.budget import BatchBudget, Item, Packer, pack
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.convert import atoms_from_sample
from atomfm_calc.errors import InsufficientMemoryError, SetupError, UnsupportedElementError
from atomfm_calc.neighbors import graph_from_sample
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


@pytest.fixture
def evaluator(model_folder: Path) -> Evaluator:
    return Evaluator(prepare_model(model_folder, SETTINGS), SETTINGS)


def ragged_list() -> list[Atoms]:
    """Lone atoms, molecules and one crystal that is larger than most budgets."""
    large = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 1)
    large.rattle(0.1, seed=4)
    small = [molecule(name) for name in ("H2O", "CH4", "NH3", "CO2", "CH3CH2OH")]
    return [Atoms("Ar"), *small, large, Atoms("Na"), Atoms("O"), *small[::-1], bulk("Fe")]


@pytest.mark.parametrize("seed", range(4))
def test_no_result_depends_on_how_structures_are_packed(evaluator: Evaluator, seed: int) -> None:
    random, structures = np.random.default_rng(seed), ragged_list()
    order = random.permutation(len(structures))
    found = iterate_results(
        evaluator,
        [structures[index] for index in order],
        want=("energy", "forces"),
        max_atoms=int(random.integers(1, 40)),
        max_edges=int(random.integers(1, 2000)),
    )
    for index, result in zip(order, found, strict=True):
        (alone,) = iterate_results(evaluator, [structures[index]], want=("energy", "forces"))
        assert result.energy == pytest.approx(alone.energy, abs=1e-10)
        assert result.forces == pytest.approx(alone.forces, abs=1e-10)


def items(*names: str) -> list[Item]:
    graphs = [graph_from_sample(STRUCTURES[name], cutoff=4.0) for name in names]
    return [Item(place, graph) for place, graph in enumerate(graphs)]


def test_batches_keep_both_budgets_and_the_order() -> None:
    names = ("lone atom", "water", "rock salt", "water", "ethanol", "lone atom", "lone atom")
    budget = BatchBudget(max_atoms=5, max_edges=40)
    places = [[item.place for item in batch] for batch in pack(items(*names), budget)]
    # the third would be the sixth atom, the fourth would bring 36 + 6 edges, ethanol has 9 atoms
    assert places == [[0, 1], [2], [3], [4], [5, 6]]


class Small:
    """A memory that holds so many atoms, in place of the features of a model."""

    def __init__(self, evaluator: Evaluator, max_atoms: int) -> None:
        self.features, self.max_atoms = evaluator.model.features, max_atoms
        self.tried: list[int] = []

    def __call__(self, graph: object) -> object:
        self.tried.append(len(graph.atomic_numbers))
        if self.tried[-1] > self.max_atoms:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 byte")
        return self.features(graph)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    structures = [molecule(name) for name in ("H2O", "CH4", "NH3", "CO2")] * 4  # 60 atoms
    expected = list(iterate_results(evaluator, structures, want=("energy",)))
    memory = Small(evaluator, max_atoms=16)
    monkeypatch.setattr(evaluator.model, "features", memory)
    found = list(iterate_results(evaluator, structures, want=("energy",)))
    assert memory.tried == [60, 30, 15, 15, 15, 15]
    assert [one.energy for one in found] == pytest.approx([one.energy for one in expected])
    assert "batches of up to 15 atoms" in caplog.text


def test_a_structure_that_does_not_fit_alone_is_named(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator.model, "features", Small(evaluator, max_atoms=8))
    structures = [molecule("H2O"), molecule("CH3CH2OH"), molecule("H2O")]
    results = iterate_results(evaluator, structures, want=("energy", "forces"))
    assert next(results).energy < 0.0
    with pytest.raises(InsufficientMemoryError, match=r"structure 1: 9 atoms with \d+ edges"):
        next(results)


def test_a_budget_falls_but_never_rises() -> None:
    packer = Packer(BatchBudget(max_atoms=3, max_edges=1))
    packer.shrink_below(items("ethanol", "ethanol"))
    assert packer.budget == BatchBudget(max_atoms=3, max_edges=1)
    packer.shrink_below(items("lone atom", "lone atom"))
    assert packer.budget == BatchBudget(max_atoms=1, max_edges=1)


def test_a_budget_of_nothing_is_refused(evaluator: Evaluator) -> None:
    with pytest.raises(SetupError, match="max_atoms is 0; it must be at least 1"):
        iterate_results(evaluator, [], want=("energy",), max_atoms=0)
