"""The contract as tests: one for each check; `plugin` says how to run them."""

from __future__ import annotations

import pytest

from atomfm_calc.conformance import CHECKS
from atomfm_calc.conformance.outcome import CheckResult


def test_the_calculator_keeps_the_contract(
    conformance_check: str, conformance_result: CheckResult
) -> None:
    """Fail with the numbers that are out of tolerance, skip with the reason."""
    if conformance_result.status == "not applicable":
        pytest.skip(conformance_result.reason)
    if conformance_result.status == "failed":
        asked = (CHECKS[conformance_check].__doc__ or "").splitlines()[0]
        broken = [one for one in conformance_result.deviations if one.excess > 1.0]
        numbers = [
            f"{one.value:.3g} > {one.tolerance:.3g} {one.unit}: {one.what}" for one in broken
        ]
        pytest.fail("\n".join([asked, *numbers, conformance_result.reason]), pytrace=False)
