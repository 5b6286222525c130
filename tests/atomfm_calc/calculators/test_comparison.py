"""All heads from one backbone pass."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms

from atomfm_calc.errors import StructureError, UnknownNameError, UnsupportedElementError
from tests.atomfm_calc.calculators.conftest import Make
from tests.made.tolerances import TOLERANCES

SINGLE = TOLERANCES[torch.float32]


def test_every_head_says_what_its_own_calculator_says(make_calc: Make, ethanol: Atoms) -> None:
    comparison = make_calc().evaluate_heads(ethanol)
    assert comparison.heads == ("molecules", "ions", "everything")
    for head in comparison.heads:
        single = make_calc(head)
        energy, forces = single.get_potential_energy(ethanol), single.get_forces(ethanol)
        assert comparison.energies[head] == pytest.approx(energy, abs=SINGLE.energy_eV)
        assert comparison.forces is not None
        assert comparison.forces[head] == pytest.approx(forces, abs=SINGLE.forces)


def test_the_backbone_runs_once(
    make_calc: Make, ethanol: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calc = make_calc()
    features, calls = calc._evaluator.model.features, []
    monkeypatch.setattr(
        calc._evaluator.model, "features", lambda graph: calls.append(1) or features(graph)
    )
    calc.evaluate_heads(ethanol)
    assert len(calls) == 1


def test_heads_that_cannot_are_left_out_with_the_reason(make_calc: Make, ethanol: Atoms) -> None:
    skipped = make_calc().evaluate_heads(ethanol).skipped
    assert list(skipped) == ["crystals"]
    assert "has seen no C, H" in skipped["crystals"]


def test_an_ion_is_computed_by_the_heads_that_know_charges(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.info.update(charge=1, multiplicity=2)
    assert make_calc().evaluate_heads(ethanol).heads == ("ions",)


def test_a_named_head_that_cannot_is_an_error(make_calc: Make, ethanol: Atoms) -> None:
    with pytest.raises(UnsupportedElementError, match="'crystals' has seen no C, H"):
        make_calc().evaluate_heads(ethanol, heads=["crystals", "ions"])
    with pytest.raises(UnknownNameError, match="no head 'crystal'"):
        make_calc().evaluate_heads(ethanol, heads="crystal")


def test_a_structure_that_no_head_knows_is_an_error(make_calc: Make) -> None:
    with pytest.raises(StructureError, match=r"no head can compute.*crystals: .*ions: "):
        make_calc().evaluate_heads(Atoms("Og"))


def test_energies_above_references_leave_the_references_out(make_calc: Make) -> None:
    comparison = make_calc(default_dtype="float64").evaluate_heads(Atoms("Ar"), forces=False)
    assert comparison.forces is None
    assert comparison.force_spread is None
    double = make_calc(default_dtype="float64").evaluate_heads(
        Atoms("Ar2", [(0, 0, 0), (0, 0, 50.0)])
    )
    for head, energy in comparison.energies_above_references.items():
        assert double.energies_above_references[head] == pytest.approx(2 * energy, abs=1e-10)
        assert comparison.energies[head] < energy


def test_the_spread_of_one_head_is_zero_and_of_several_is_not(
    make_calc: Make, ethanol: Atoms
) -> None:
    calc = make_calc()
    alone = calc.evaluate_heads(ethanol, heads="ions")
    assert alone.energy_spread == 0.0
    spread = calc.evaluate_heads(ethanol).force_spread
    assert spread is not None
    assert spread.shape == (9,)
    assert (spread > 0.0).all()


def test_a_comparison_leaves_the_results_of_the_calculator_alone(
    make_calc: Make, ethanol: Atoms
) -> None:
    calc = make_calc()
    calc.get_forces(ethanol)
    results = calc.results
    calc.evaluate_heads(ethanol)
    assert calc.results is results
