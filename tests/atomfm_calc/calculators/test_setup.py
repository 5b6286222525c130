"""The arguments of the calculator and what it says of itself."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from ase import Atoms

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.errors import (
    SetupError,
    UnknownArgumentError,
    UnknownNameError,
    WeightsError,
)
from atomfm_calc.registry.catalog import load_model
from tests.atomfm_calc.calculators.conftest import Make
from tests.made.models import HEADS, make_model_folder


def test_the_default_head_is_the_one_on_the_card(make_calc: Make) -> None:
    assert make_calc(None).head == "crystals"


def test_heads_and_card_can_be_read_from_the_calculator(make_calc: Make) -> None:
    calc = make_calc()
    assert calc.heads == HEADS
    assert calc.card.label == "tiny 0.0.1"


def test_an_unknown_head_is_refused_with_the_nearest_name(make_calc: Make) -> None:
    with pytest.raises(UnknownNameError, match="tiny has: crystals.*Did you mean 'molecules'"):
        make_calc("molecule")


@pytest.mark.parametrize(
    ("head", "text"), [("mixture", "tiny 0.0.1 has none"), ("all", "evaluate_h")]
)
def test_reserved_words_are_never_replaced_by_a_head(make_calc: Make, head: str, text: str) -> None:
    with pytest.raises(SetupError, match=text):
        make_calc(head)


@pytest.mark.parametrize("name", ["task_name", "modal", "variant"])
def test_other_words_for_the_head_are_refused_with_a_hint(make_calc: Make, name: str) -> None:
    with pytest.raises(UnknownArgumentError, match=f"use head= instead of {name}=") as caught:
        make_calc(**{name: "omat"})
    assert isinstance(caught.value, TypeError)


def test_an_unknown_argument_is_refused_with_the_list(make_calc: Make) -> None:
    with pytest.raises(UnknownArgumentError, match="no argument 'colour'; arguments: model, head"):
        make_calc(colour="red")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"device": "cuda:99"}, "torch sees . CUDA devices"),
        ({"device": "abacus"}, "use 'auto', 'cpu'"),
        ({"device": "mps"}, "float64"),
        ({"default_dtype": "float16"}, "float32, float64"),
        ({"kernel": "fast"}, "no kernel 'fast'"),
        ({"skin": -1.0}, "between 0 and 5"),
        ({"charge": 0.5}, "whole number"),
        ({"multiplicity": 0}, "2S\\+1"),
    ],
)
def test_an_impossible_argument_is_refused(
    make_calc: Make, arguments: dict[str, object], text: str
) -> None:
    with pytest.raises((SetupError, UnknownNameError), match=text):
        make_calc(**arguments)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no model 'pain-lead'"):
        FoundationCalc("pain-lead")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no model folder"):
        FoundationCalc(tmp_path)


def test_nothing_can_be_set_afterwards(make_calc: Make) -> None:
    with pytest.raises(SetupError, match="cannot set head"):
        make_calc().set(head="crystals")


def test_one_log_line_says_what_computes(make_calc: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        make_calc("ions", default_dtype="float64")
    (record,) = caplog.records
    assert record.getMessage() == (
        "tiny 0.0.1, head ions (GFN2-xTB), kernel reference, float64 on cpu"
    )


def test_a_loaded_model_can_be_shared_and_is_never_changed(
    model_folder: Path, ethanol: Atoms
) -> None:
    loaded = load_model(model_folder)
    first = FoundationCalc(loaded, head="molecules", device="cpu", kernel="reference")
    second = FoundationCalc(
        loaded, head="ions", device="cpu", kernel="reference", default_dtype="float64"
    )
    assert first._evaluator.model is loaded.model
    assert second._evaluator.model is not loaded.model
    assert loaded.model.dtype == torch.float32
    assert first.get_potential_energy(ethanol) != second.get_potential_energy(ethanol)


def test_the_arguments_of_other_packages_dtype_and_device_objects_are_accepted(
    model_folder: Path,
) -> None:
    calc = FoundationCalc(
        model=str(model_folder), device=torch.device("cpu"), default_dtype=torch.float64
    )
    assert calc.fingerprint()["default_dtype"] == "float64"


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path: Path) -> None:
    first = make_model_folder(tmp_path / "first")
    second = make_model_folder(tmp_path / "second", seed=1)
    (second / "model.safetensors").replace(first / "model.safetensors")
    with pytest.raises(WeightsError, match="changed or damaged"):
        FoundationCalc(first)
