"""What cannot be learned from is refused, with the name of the row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomfm_calc.errors import ConfigError, DataError, UnsupportedElementError
from downstream.labels import check_elements, check_samples
from downstream.splits import Fold, check_folds
from tests.made.fine_tuning import dimer, only, recipe

BOND = [only(dimer(number), "bond") for number in range(8)]


def _with(value: Any, name: str = "bond") -> list[Any]:
    return [*BOND[:5], replace(BOND[5], targets={name: np.array(value)}), *BOND[6:]]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([*BOND[:5], only(BOND[5])], "dimer-5 has none of the columns bond"),
        (_with(1.0, "gap"), "dimer-5 has the targets gap, for which the recipe declares no unit"),
        (_with(np.nan), "dimer-5: bond is NaN"),
        (_with(np.inf), "dimer-5: bond is infinite"),
        (_with([1.0, 2.0]), r"dimer-5: bond has shape \(2,\), not \(\)"),
        (BOND[:1], r"made has 1 structures \(dimer-0\)"),
        ([*BOND, BOND[3]], "row 8 is called 'dimer-3', as a row before"),
        ([only(dimer(n, length=1.5), "bond") for n in range(8)], "bond is 1.5 in all 8 rows"),
    ],
    ids="column unit nan infinite shape one-sample twice constant".split(),
)
def test_a_wrong_row_is_named(samples: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_samples(samples, recipe(Path("model")))


def test_a_label_without_a_logarithm_is_named() -> None:
    made = recipe(Path("model"), targets={"bond": {"unit": "angstrom", "transform": "log10"}})
    with pytest.raises(DataError, match=r"dimer-5: bond is -1.0, which has no logarithm"):
        check_samples(_with(-1.0), made)


def test_a_class_that_does_not_exist_is_named() -> None:
    target = {"unit": "1", "classes": ["short", "long"], "loss": "cross_entropy"}
    made = recipe(Path("model"), targets={"bond": target})
    with pytest.raises(DataError, match="dimer-0: bond is 1.0, the place|dimer-1: bond is 1.03"):
        check_samples(BOND, made)


def test_an_element_outside_the_model_is_named_with_its_row() -> None:
    samples = [*BOND, replace(dimer(9, partner=79), source="gold")]
    with pytest.raises(UnsupportedElementError, match="gold has Au, which painn 1 has not seen"):
        check_elements(samples, ["C", "N", "O"], "painn 1")


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ({"dimer-0", "dimer-9"}, {"dimer-1"}, "fold 0 names dimer-9, which the data does not"),
        ({"dimer-0", "dimer-1"}, {"dimer-1"}, "fold 0 has dimer-1 for training and for test"),
    ],
)
def test_folds_of_other_data_are_refused(train: set[str], test: set[str], message: str) -> None:
    fold = Fold(name="fold 0", train=frozenset(train), test=frozenset(test))
    with pytest.raises(DataError, match=message):
        check_folds([fold], BOND)


def test_a_fold_may_use_a_part_of_the_data() -> None:
    part = Fold(name="fold 0", train=frozenset({"dimer-0"}), test=frozenset({"dimer-1"}))
    check_folds([part], BOND)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"targets": {"gap": {}}}, "missing key 'targets.gap.unit'"),
        ({"targets": {}}, "has targets nothing and no potential"),
        ({"targets": {"gap": {"unit": "eV", "loss": "cross_entropy"}}}, "goes with classes"),
        ({"sizes": []}, "give sizes and seeds of at least 1"),
        ({"adapt": {"trian": "all"}}, "Did you mean 'train'"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipe(Path("model"), **sections)


def test_a_charged_structure_is_refused_where_no_head_is_told_the_charge() -> None:
    charged = [*BOND[:5], replace(BOND[5], charge=-1)]
    with pytest.raises(DataError, match="dimer-5 has the charge -1, which property heads are not"):
        check_samples(charged, recipe(Path("model")))
    potential = {"head": "ions", "labels": ["energy", "forces"]}
    ions = [replace(only(dimer(n), "energy", "forces"), charge=-1) for n in range(8)]
    with pytest.raises(DataError, match="dimer-0 has the charge -1.*set potential.uses_charge"):
        check_samples(ions, recipe(Path("model"), potential=potential))
    told = recipe(Path("model"), potential={**potential, "uses_charge": True})
    assert [sample.charge for sample in check_samples(ions, told)] == [-1] * 8


def test_a_label_that_no_row_has_is_told() -> None:
    made = recipe(Path("model"), potential={"head": "dimers", "labels": ["energy", "forces"]})
    with pytest.raises(DataError, match="no row has the column forces; the first, dimer-0, has"):
        check_samples([only(dimer(number), "energy") for number in range(8)], made)
