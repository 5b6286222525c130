"""All heads on many structures are all heads on each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

import atomfm_calc
from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.comparison import compare_heads
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.errors import NonFiniteError, PropertyError, SetupError, UnknownNameError

SETTINGS = CalculatorSettings(device="cpu", kernel="reference", default_dtype="float64")
CLOSE = {"abs": 1e-10, "rel": 0.0}


@pytest.fixture
def evaluator(model_folder: Path) -> Evaluator:
    return Evaluator(prepare_model(model_folder, SETTINGS), SETTINGS)


def ragged_list() -> list[Atoms]:
    """Lone atoms, molecules, crystals and an ion: every head refuses some, none refuses all."""
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    salt.rattle(0.1, seed=4)
    ion = molecule("CH4")
    ion.info.update(charge=1, multiplicity=2)
    singlet = molecule("H2O")
    singlet.info["multiplicity"] = 1
    return [molecule("H2O"), Atoms("Ar"), salt, ion, singlet, bulk("Fe"), molecule("CH3CH2OH")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("want", [("energy",), ("energy", "forces")], ids="+".join)
def test_heads_agree_with_single_structures_however_they_are_packed(
    evaluator: Evaluator, want: tuple[str, ...], seed: int
) -> None:
    random, structures = np.random.default_rng(seed), ragged_list()
    order = random.permutation(len(structures))
    found = iterate_results(
        evaluator,
        [structures[index] for index in order],
        heads="all",
        want=want,
        max_atoms=int(random.integers(1, 40)),
        max_edges=int(random.integers(1, 2000)),
    )
    for index, result in zip(order, found, strict=True):
        alone = compare_heads(evaluator, structures[index], forces="forces" in want)
        assert result.skipped == alone.skipped
        assert result.energies == pytest.approx(alone.energies, **CLOSE)
        above = alone.energies_above_references
        assert result.energies_above_references == pytest.approx(above, **CLOSE)
        assert (result.forces is None) == ("forces" not in want)
        for head, forces in (alone.forces or {}).items():
            assert result.forces[head] == pytest.approx(forces, **CLOSE)


def test_every_head_gives_what_it_gives_alone(model_folder: Path) -> None:
    molecules = [molecule(name) for name in ("H2O", "CH4", "CH3CH2OH")]
    comparisons = atomfm_calc.predict_many(molecules, model_folder, SETTINGS, heads="all")
    for head in comparisons[0].heads:
        settings = CalculatorSettings(
            head=head, device="cpu", kernel="reference", default_dtype="float64"
        )
        singles = atomfm_calc.predict_many(molecules, model_folder, settings, want=("energy",))
        for comparison, single in zip(comparisons, singles, strict=True):
            assert comparison.energies[head] == pytest.approx(single.energy, **CLOSE)


def test_energies_of_all_heads_take_one_backbone_pass_and_no_gradient(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, modes = evaluator.model.features, []
    monkeypatch.setattr(
        evaluator.model,
        "features",
        lambda graph: modes.append(torch.is_grad_enabled()) or features(graph),
    )
    monkeypatch.setattr(torch.autograd, "grad", None)
    molecules = [molecule("H2O"), Atoms("Ar"), molecule("CH4")]
    assert len(list(iterate_results(evaluator, molecules, heads="all"))) == 3
    assert modes == [False]


def test_a_head_that_may_not_compute_a_structure_is_marked_with_the_reason(
    evaluator: Evaluator,
) -> None:
    heads = ["everything", "ions", "crystals"]  # in another order than on the card
    results = list(iterate_results(evaluator, ragged_list(), heads=heads))
    water, argon, salt, ion, *_ = results
    assert water.heads == ("ions", "everything")
    assert "has seen no H" in water.skipped["crystals"]
    assert argon.heads == ("ions", "everything")
    assert salt.heads == ("crystals", "everything")
    assert ion.heads == ("ions",)
    assert "not trained on charge 1" in ion.skipped["everything"]


def test_a_structure_that_nothing_can_compute_stops_nothing(evaluator: Evaluator) -> None:
    overlapping = Atoms("O2", [(0, 0, 0), (0, 0, 0.1)])
    lost = Atoms("H2", [(0, 0, 0), (0, 0, np.nan)])
    impossible = [Atoms("Og"), overlapping, lost, Atoms()]
    structures = [*impossible, molecule("H2O"), *impossible]
    results = list(iterate_results(evaluator, structures, heads="all", want=("energy", "forces")))
    assert [len(result.heads) for result in results] == [0, 0, 0, 0, 3, 0, 0, 0, 0]
    reasons = ("has seen no Og", "overlap: 0.100 Å", "not finite", "no atoms")
    for result, reason in zip([*results[:4], *results[5:]], reasons * 2, strict=True):
        assert len(result.skipped) == 4
        assert all(reason in text for text in result.skipped.values())
        assert np.isnan(result.energy_spread)
        assert result.force_spread is None


def test_what_several_heads_cannot_give_is_refused(evaluator: Evaluator) -> None:
    with pytest.raises(PropertyError, match="give energy and forces, not stress; for stress, ask"):
        iterate_results(evaluator, [], heads="all", want=("stress",))
    with pytest.raises(UnknownNameError, match="no head 'ion'"):
        iterate_results(evaluator, [], heads=["ion"])
    with pytest.raises(SetupError, match="no head is named"):
        iterate_results(evaluator, [], heads=[])


def test_results_that_are_not_finite_name_their_head(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> torch.Tensor:
        return torch.tensor([[1.0], [torch.nan]], dtype=torch.float64)

    monkeypatch.setattr(evaluator.model, "head_energies", broken)
    with pytest.raises(NonFiniteError, match="head 'ions' gave energy that are not finite"):
        list(iterate_results(evaluator, [Atoms("Ar")], heads=["molecules", "ions"]))
