"""Which head for a structure: order, reasons, and what the gate has to say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atomfm_calc.registry.advise import advise, weights_for_advice
from atomfm_calc.registry.card import HeadInfo, ModelCard, SplitErrors, Validation, load_card
from tests.made.models import head_info, make_model_folder, small_gate
from tests.made.structures import STRUCTURES

ETHANOL, SALT = STRUCTURES["ethanol"], STRUCTURES["rock salt"]


def with_error(info: HeadInfo, forces: float) -> HeadInfo:
    errors = SplitErrors(forces_mae_meV_per_angstrom=forces)
    return replace(info, validation=Validation(split="test", n_structures=5, joint=errors))


def card_of(folder: Path, **heads: HeadInfo) -> ModelCard:
    return load_card(make_model_folder(folder, heads or {"only": head_info(("H",))}))


BROAD = replace(
    head_info(()),
    elements={"H": 5000, "C": 4000, "O": 3000, "N": 1},
    n_structures={"train": 5000},
)


def test_heads_that_may_not_come_last_with_the_reason(tmp_path: Path) -> None:
    best = with_error(head_info(("Na", "Cl"), periodicity=("3d",)), 1.0)
    card = card_of(tmp_path, salts=best, organics=BROAD)
    first, last = advise(card, ETHANOL)
    assert (first.head, first.may_compute) == ("organics", True)
    assert (last.head, last.may_compute) == ("salts", False)
    assert last.reasons_against[:2] == ("has seen no H, C, O", "has seen no molecules")
    assert [advice.head for advice in advise(card, SALT)] == ["salts", "organics"]


def test_what_was_seen_more_often_comes_first_then_the_smaller_error(tmp_path: Path) -> None:
    scarce = replace(BROAD, elements={**BROAD.elements, "O": 30})
    card = card_of(
        tmp_path,
        scarce=with_error(scarce, 1.0),
        rough=with_error(BROAD, 90.0),
        fine=with_error(BROAD, 40.0),
    )
    ranked = advise(card, ETHANOL)
    assert [advice.head for advice in ranked] == ["fine", "rough", "scarce"]
    assert "few training structures with O" in ranked[2].reasons_against
    assert "training structures with its elements: H 5000, C 4000, O 3000" in ranked[0].reasons_for


def test_a_head_of_one_substance_stands_behind_the_others(tmp_path: Path) -> None:
    single = replace(BROAD, elements=dict.fromkeys("HCO", 5000))
    card = card_of(tmp_path, single=with_error(single, 1.0), broad=with_error(BROAD, 300.0))
    first, second = advise(card, ETHANOL)
    assert (first.head, second.head) == ("broad", "single")
    assert "every training structure holds all of H, C, O" in second.reasons_against[0]


def test_an_ion_is_for_heads_that_know_charges(tmp_path: Path) -> None:
    charged = replace(BROAD, elements={"N": 9, "H": 9}, uses_charge=True, charges=(0, 1))
    ranked = advise(card_of(tmp_path, neutral=BROAD, ions=charged), STRUCTURES["ammonium"])
    assert [advice.head for advice in ranked] == ["ions", "neutral"]
    assert "trained on charge +1" in ranked[0].reasons_for
    assert "was not trained on charge +1" in ranked[1].reasons_against


def test_a_gate_that_knows_the_composition_decides(tmp_path: Path) -> None:
    card, gate = load_card(make_model_folder(tmp_path)), small_gate()
    weights = weights_for_advice(card, gate, ETHANOL)
    assert weights is not None
    assert sum(weights.values()) == pytest.approx(1.0)
    ranked = [advice for advice in advise(card, ETHANOL, weights) if advice.may_compute]
    assert [advice.weight for advice in ranked] == sorted(
        (weights[advice.head] for advice in ranked), reverse=True
    )
    assert weights_for_advice(card, gate, STRUCTURES["tiny cell"]) is None  # no iron in it
    assert weights_for_advice(card, None, ETHANOL) is None
