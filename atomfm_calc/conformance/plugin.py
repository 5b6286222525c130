"""The contract as a pytest plugin, for the test suite of any calculator.

    pytest -p atomfm_calc.conformance.plugin --calculator "ase.calculators.emt:EMT"

It has to be named with `-p` (or in `addopts`): a test suite of someone who merely has atomfm
installed gets no options and no tests from it. Paths on the command line are collected as ever; add
`--pyargs atomfm_calc.conformance.contract` to them to run the contract with other tests.
"""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest

from atomfm_calc.conformance import CHECKS
from atomfm_calc.conformance.examine import find_factory, report_card, run_check
from atomfm_calc.conformance.outcome import CheckResult, card_as_text
from atomfm_calc.conformance.subject import Subject
from atomfm_calc.errors import AtomFMError

CONTRACT = Path(__file__).with_name("contract.py")
SUBJECT = pytest.StashKey[Subject]()
RESULTS = pytest.StashKey[list[CheckResult]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--calculator` and what goes with it."""
    group = parser.getgroup("calculator", "the contract of ASE calculators")
    group.addoption("--calculator", help="module:factory or file.py:factory, without arguments")
    group.addoption("--calculator-structures", help="file with structures that it is meant for")
    group.addoption("--calculator-precision", help="float64, float32, self-consistent; or probed")


def pytest_configure(config: pytest.Config) -> None:
    """Find the calculator, and collect the contract if no path says otherwise."""
    address = config.getoption("--calculator")
    if address is None:
        return
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = [str(CONTRACT)]
    file = config.getoption("--calculator-structures")
    structures = None
    if file is not None:
        structures = {f"{place}": atoms for place, atoms in enumerate(ase.io.read(file, index=":"))}
    precision = config.getoption("--calculator-precision")
    try:
        config.stash[SUBJECT] = Subject(find_factory(address), structures, precision)
    except AtomFMError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[RESULTS] = []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per check."""
    if "conformance_check" in metafunc.fixturenames:
        metafunc.parametrize("conformance_check", CHECKS)


@pytest.fixture
def conformance_result(conformance_check: str, request: pytest.FixtureRequest) -> CheckResult:
    """Outcome of one check of the calculator of the command line."""
    subject = request.config.stash.get(SUBJECT, None)
    if subject is None:
        pytest.skip("no --calculator module:factory on the command line")
    result = run_check(conformance_check, subject)
    request.config.stash[RESULTS].append(result)
    return result


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the report card below the tests."""
    results = config.stash.get(RESULTS, [])
    if results:
        subject = config.stash[SUBJECT]
        card = report_card(config.getoption("--calculator"), subject, tuple(results))
        terminalreporter.section("report card")
        terminalreporter.write(card_as_text(card))
