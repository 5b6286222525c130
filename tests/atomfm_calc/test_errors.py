"""The lookup names what exists, and the errors are also those that ASE's users catch."""

from __future__ import annotations

import pytest
from ase.calculators.calculator import (
    CalculationFailed,
    CalculatorSetupError,
    InputError,
    PropertyNotImplementedError,
)

from atomfm_calc import errors
from atomfm_calc.errors import AtomFMError, UnknownNameError, listing, lookup

TABLE = {"omat24": 1, "omol25": 2}


def test_a_name_in_the_table_is_found() -> None:
    assert lookup(TABLE, "omol25", "head") == 2


@pytest.mark.parametrize("name", ["omat", "OMAT24", "", None, 0, ["omat24"], "branch-7"])
def test_a_name_not_in_the_table_is_refused_with_all_that_is(name: object) -> None:
    with pytest.raises(UnknownNameError, match="painn-lead has: omat24, omol25") as error:
        lookup(TABLE, name, "head", "painn-lead")
    assert repr(name) in str(error.value)


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(UnknownNameError, match=r"no head 'omat'.*Did you mean 'omat24'\?"):
        lookup(TABLE, "omat", "head")


def test_nothing_is_offered_when_nothing_is_near() -> None:
    with pytest.raises(UnknownNameError) as error:
        lookup(TABLE, "zirconium", "head")
    assert "Did you mean" not in str(error.value)


def test_an_empty_table_is_said_to_be_empty() -> None:
    assert listing([]) == "nothing"
    with pytest.raises(UnknownNameError, match="atomfm has: nothing"):
        lookup({}, "any", "model")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (errors.StructureError, InputError),
        (errors.UnsupportedElementError, InputError),
        (errors.ChargeError, InputError),
        (errors.PropertyError, PropertyNotImplementedError),
        (errors.SetupError, CalculatorSetupError),
        (errors.NonFiniteError, CalculationFailed),
        (errors.InsufficientMemoryError, CalculationFailed),
        (errors.UnknownNameError, ValueError),
        (errors.UnknownArgumentError, TypeError),
    ],
)
def test_an_error_is_caught_by_the_class_that_callers_know(
    ours: type[Exception], theirs: type[Exception]
) -> None:
    assert issubclass(ours, theirs)
    assert issubclass(ours, AtomFMError)
