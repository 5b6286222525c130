"""For scripts: JSON and nothing else, no colors, statuses of stopped runs, dry runs, completion."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk, molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.cli import commands
from atomfm_calc.cli.exit_status import ExitStatus
from tests.atomfm_calc.cli.test_cli import run
from tests.made.models import make_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model_folder(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.rattle(0.05, seed=0)
    ase.io.write(tmp_path / "salt.extxyz", [salt, salt * (2, 1, 1)])
    ase.io.write(tmp_path / "mixed.extxyz", [salt, molecule("H2O")])
    monkeypatch.chdir(tmp_path)


def test_every_command_has_json() -> None:
    every = commands()
    groups = {name for name in every if any(other.startswith(f"{name} ") for other in every)}
    for name, options in every.items():
        assert "--json" in options or name in groups, name


JSON = {
    "models list": "model",
    "models show MODEL": "heads",
    "models show MODEL --head ions": "theory",
    "models verify MODEL": "intact",
    "models advise salt.extxyz --model MODEL": "structures",
    "predict salt.extxyz --model MODEL": "structures",
    "predict salt.extxyz --model MODEL --out new.extxyz": "structures",
    "predict mixed.extxyz --model MODEL --head all": "units",
    "predict salt.extxyz --model MODEL --dry-run": "seconds_about",
    "run relax salt.extxyz --model MODEL --max-force 10": "result",
    "run md salt.extxyz --model MODEL --dry-run": "seconds_at_most",
    "screen run salt.extxyz --model MODEL --out out": "stages",
    "screen run salt.extxyz --model MODEL --out out --dry-run": "n_candidates",
    "screen plan salt.extxyz --model MODEL --seconds 0.1": "projections",
    "doctor": "versions",
}
"""Words after `atomfm` -> a key of what is printed."""


@pytest.mark.parametrize("line", JSON)
def test_the_output_is_one_json_document(
    line: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if line.startswith("screen"):
        pytest.importorskip("pyarrow")
    assert run(*line.replace("MODEL", model).split(), "--json") == ExitStatus.DONE
    printed = json.loads(capsys.readouterr().out)
    assert JSON[line] in (printed[0] if isinstance(printed, list) else printed)


def test_json_of_a_prediction_has_its_numbers(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "salt.extxyz", "--model", model, "--json") == ExitStatus.DONE
    content = json.loads(capsys.readouterr().out)
    expected = FoundationCalc(model)
    atoms = ase.io.read("salt.extxyz", 0)
    first = content["structures"][0]
    assert first["energy"] == pytest.approx(expected.get_potential_energy(atoms), rel=1e-6)
    assert first["forces"] == pytest.approx(expected.get_forces(atoms), abs=1e-5)
    assert content["units"]["stress"] == "eV/Å³"
    assert content["made_by"]["head"] == "crystals"


def test_a_dry_run_writes_nothing(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "md", "salt.extxyz", "--model", model, "--dry-run", "--steps", 50) == 0
    assert "n_calls_at_most" in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == ["mixed.extxyz", "salt.extxyz"]


def test_a_dry_run_finds_what_would_be_refused(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("predict", "mixed.extxyz", "--model", model, "--dry-run", "--json")
    assert run(*line) == ExitStatus.MISUSED
    (refused,) = json.loads(capsys.readouterr().out)["refused"]
    assert refused["structure"] == 1
    assert "has seen no H" in refused["why"]
    line = ("run", "eos", "mixed.extxyz", "--model", model, "--head", "molecules", "--dry-run")
    assert run(*line) == ExitStatus.MISUSED
    assert "periodic in three directions" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def interrupts_are_not_ignored() -> Iterator[None]:
    """As they are in programs that a shell starts in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _stop_with(number: signal.Signals, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def stop(self: FoundationCalc, *arguments: object, **named: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(FoundationCalc, name, stop)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_that_it_can_go_on(
    number: signal.Signals,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _stop_with(number, monkeypatch, "calculate")
    assert run("run", "md", "salt.extxyz", "--model", model) == ExitStatus.RESUME
    assert "the same command with --resume goes on in salt-md" in capsys.readouterr().err


def test_a_stopped_prediction_cannot_go_on(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _stop_with(signal.SIGINT, monkeypatch, "predict_many")
    assert run("predict", "salt.extxyz", "--model", model) == ExitStatus.INTERRUPTED


def test_what_is_piped_has_no_colors(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models", "show", model) == ExitStatus.DONE
    assert run("predict", "salt.extxyz", "--model", model) == ExitStatus.DONE
    out, error = capsys.readouterr()
    assert "\x1b" not in out + error


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_has_colors_unless_no_color_is_set(
    no_color: bool, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", Terminal())
    assert run("models", "show", model) == ExitStatus.DONE
    shown = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert "random weights for tests" in shown
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)) != no_color
