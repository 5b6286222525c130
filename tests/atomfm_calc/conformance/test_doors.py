"""The ways to the contract: by name, from the command line, as a pytest plugin."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ase import Atoms
from ase.calculators.emt import EMT

from atomfm_calc.cli import main
from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.conformance.examine import examine, find_factory
from atomfm_calc.conformance.outcome import Deviation, judge
from atomfm_calc.conformance.subject import Subject
from atomfm_calc.errors import DataError, SetupError, UnknownNameError
from tests.house.sources import ROOT

FACTORY = "from ase.calculators.emt import EMT\n\ndef make():\n    return EMT()\n\nNUMBER = 3\n"


@pytest.fixture
def factory(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FACTORY, encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_a_factory_is_found_in_a_module_and_in_a_file(factory: Path) -> None:
    assert find_factory("ase.calculators.emt:EMT") is EMT
    assert isinstance(find_factory(f"{factory}:make")(), EMT)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("EMT", "write module:factory or file.py:factory"),
        ("no_such_module:EMT", "cannot import no_such_module"),
        ("absent.py:make", "no Python file absent.py"),
        ("ase.calculators.emt:Emt", "has no 'Emt'"),
        ("{file}:NUMBER", "is a int; the checks need new calculators"),
    ],
)
def test_an_address_without_a_factory_is_refused(factory: Path, address: str, message: str) -> None:
    with pytest.raises(SetupError, match=re.escape(message)):
        find_factory(address.replace("{file}", str(factory)))


def test_a_structure_that_nothing_computes_is_told_with_its_reason() -> None:
    with pytest.raises(DataError, match="mine: NotImplementedError: No EMT-potential for Xe"):
        Subject(EMT, {"mine": Atoms("Xe")})


def test_unknown_checks_and_precisions_are_named() -> None:
    with pytest.raises(UnknownNameError, match="no check 'rotations'.*Did you mean 'rotation'"):
        examine("EMT", EMT, checks=["rotations"])
    with pytest.raises(UnknownNameError, match="no precision 'fp32'"):
        Subject(EMT, precision="fp32")


def test_a_deviation_that_is_not_a_number_fails() -> None:
    assert judge("forces", [Deviation("forces", float("nan"), 1.0, "eV/Å")], 0.0).status == "failed"
    assert judge("forces", [], 0.0).status == "failed"


def test_the_command_writes_the_card_as_text_json_and_html(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ("--calculator", "ase.calculators.emt:EMT", "--only", "rotation,batch")
    assert run("check", *chosen, "--out", tmp_path, "--json") == ExitStatus.DONE
    card = json.loads(capsys.readouterr().out)
    assert [result["status"] for result in card["results"]] == ["passed", "not applicable"]
    assert card == json.loads((tmp_path / "report-card.json").read_text(encoding="utf-8"))
    assert "1 passed, 1 not applicable" in (tmp_path / "report-card.txt").read_text("utf-8")
    page = (tmp_path / "report-card.html").read_text(encoding="utf-8")
    assert "A rotated structure has the same energy" in page
    assert "http" not in page


def test_the_command_fails_if_a_check_fails(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ("--calculator", "ase.calculators.lj:LennardJones", "--only", "not finite")
    assert run("check", *chosen) == ExitStatus.FAILED
    assert "1 failed" in capsys.readouterr().out


def test_the_plugin_runs_the_contract_as_tests(factory: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "atomfm_calc.conformance.plugin", "-v"]
    chosen = ["--calculator", f"{factory}:make", "-k", "rotation or copies or batch"]
    result = subprocess.run([*command, *chosen], cwd=ROOT, capture_output=True, text=True)
    assert "[rotation] PASSED" in result.stdout
    assert "[copies] FAILED" in result.stdout
    assert "[batch] SKIPPED" in result.stdout
    assert "report card" in result.stdout
