"""The most likely mistakes: what came, what is allowed, what to do; status 2, no traceback."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.cli.exit_status import ExitStatus, status_of
from atomfm_calc.errors import AtomFMError, NonFiniteError, UnknownNameError, WeightsError
from tests.atomfm_calc.cli.test_cli import run
from tests.made.models import make_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model_folder(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    structures = {
        "salt.extxyz": bulk("NaCl", "rocksalt", a=5.6),
        "water.extxyz": molecule("H2O"),
        "overlap.extxyz": Atoms("OH", positions=[[0, 0, 0], [0, 0, 0.1]]),
    }
    for name, atoms in structures.items():
        ase.io.write(tmp_path / name, atoms)
    for name, text in {"notes.txt": "hello\n", "cut.cif": "data_\n_cell", "empty.xyz": ""}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "salt-md").mkdir()
    (tmp_path / "salt-md" / "result.json").write_text("{}")
    monkeypatch.chdir(tmp_path)


MISTAKES = {
    "a file that is missing": ("predict slat.extxyz", ("no file slat.extxyz", "salt.extxyz?")),
    "a folder that is missing": ("predict new/salt.cif", ("no file new/salt.cif", "nor a folder")),
    "a file that is no structure": ("predict notes.txt", ("no format that ASE knows", ".cif")),
    "a file that was cut": ("predict cut.cif", ("cut.cif holds no structure", "to the end?")),
    "an empty file": ("predict empty.xyz", ("empty.xyz is empty", "write it again")),
    "an unknown head": ("predict salt.extxyz --head cristals", ("'cristals'", "'crystals'?")),
    "an unknown model": ("predict salt.extxyz --model pain-lead", ("'pain-lead'", "painn-lead")),
    "an element that is not covered": (
        "predict water.extxyz", ("seen no H", "molecules, ions", "--allow-unseen-elements"),
    ),
    "a crystal's workflow for a molecule": (
        "run eos water.extxyz --head molecules", ("needs a crystal", "False", "its cell and pbc"),
    ),
    "a free cell for a molecule": (
        "run relax water.extxyz --head molecules --cell full", ("False", "--cell fixed"),
    ),
    "a number with a unit": ("run md salt.extxyz --temperature-K 300K", ("'300K'", "give 300")),
    "a temperature below zero": ("run md salt.extxyz --temperature-K -5", ("-5", "above 0")),
    "a folder with results": ("run md salt.extxyz", ("salt-md already holds", "--overwrite")),
    "a device that is absent": ("predict salt.extxyz --device cuda:99", ("'cuda:99'", "--device")),
    "a device with another name": ("predict salt.extxyz --device gpu", ("'gpu'", "'cuda'")),
    "atoms that overlap": (
        "predict overlap.extxyz --head molecules", ("overlap", "0.100 Å", "listed twice"),
    ),
    "a charge that is not known": (
        "predict water.extxyz --head molecules --charge 1", ("charge 1", "knows 0", "ions"),
    ),
    "a folder that holds no model": (
        "predict salt.extxyz --model runs/absent", ("runs/absent is no model folder", "export"),
    ),
    "a precision that is none": ("predict salt.extxyz --dtype half", ("dtype 'half'", "float32")),
    "an unknown command": ("run relaks salt.extxyz", ("'relaks'", "mean 'relax'")),
    "an unknown option": ("run md salt.extxyz --step 5", ("--step", "--steps")),
}  # fmt: skip
"""Mistake -> words after `atomfm`, and what the message says."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_explained(
    mistake: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line, told = MISTAKES[mistake]
    words = line.split()
    if words[:2] != ["run", "relaks"] and "--model" not in words:
        words += ["--model", model]
    assert run(*words) == ExitStatus.MISUSED
    out, error = capsys.readouterr()
    for text in told:
        assert text in error
    assert "Traceback" not in error
    assert out == ""


def test_a_missing_extra_is_named_with_its_command(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atomfm_calc.packages.find_spec", lambda name: None)
    assert run("run", "elastic", "salt.extxyz", "--model", model) == ExitStatus.MISUSED
    assert 'pip install "atomfm[elastic]"' in capsys.readouterr().err


def test_a_head_of_crystals_says_that_a_molecule_is_new_to_it(
    model: str, caplog: pytest.LogCaptureFixture
) -> None:
    command = ("predict", "water.extxyz", "--head", "crystals", "--allow-unseen-elements")
    assert run(*command, "--model", model) == ExitStatus.DONE
    assert "has seen structures of periodicity 3d only" in caplog.text


def test_every_error_has_a_status() -> None:
    assert status_of(UnknownNameError("x")) is ExitStatus.MISUSED
    assert status_of(NonFiniteError("x")) is ExitStatus.FAILED
    assert status_of(WeightsError("x")) is ExitStatus.FAILED
    assert status_of(PermissionError("x")) is ExitStatus.FAILED
    assert status_of(AtomFMError("x")) is ExitStatus.FAILED
    assert status_of(KeyError("x")) is None  # a mistake of ours, with its traceback
