"""`atomfm predict` says how far energies may be off, where the model knows."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import pytest
from ase.build import molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from tests.atomfm_calc.cli.test_cli import run
from tests.made.models import make_model_folder, make_uncertain_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Heads "molecules" and "everything" know their uncertainty; none is usual."""
    return str(make_uncertain_folder(tmp_path_factory.mktemp("model") / "tiny", usual=1e-9))


@pytest.fixture(autouse=True)
def water(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    ase.io.write(tmp_path / "water.extxyz", [molecule("H2O")] * 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "water.extxyz"


def test_a_prediction_has_its_uncertainty(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("predict", "water.extxyz", "--model", model, "--head", "molecules")
    assert run(*command, "--json", "--out", "out.extxyz") == 0
    expected = FoundationCalc(model, head="molecules").uncertainty(molecule("H2O")).per_atom
    content = json.loads(capsys.readouterr().out)
    assert content["units"]["uncertainty_per_atom"] == "eV/atom"
    found = [row["uncertainty_per_atom"] for row in content["structures"]]
    found += [atoms.info["uncertainty_per_atom"] for atoms in ase.io.read("out.extxyz", ":")]
    assert found == pytest.approx([expected] * 4, rel=1e-4)


def test_an_unusual_uncertainty_is_marked(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("predict", "water.extxyz", "--model", model, "--head", "molecules") == 0
    printed = capsys.readouterr().out
    assert "±" in printed
    assert "!: less sure than of 95 %" in printed
    assert printed.count(" ! ") == 2


def test_every_head_that_knows_has_an_uncertainty(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("predict", "water.extxyz", "--model", model, "--head", "all", "--json")
    assert run(*command, "--out", "out.extxyz") == 0
    heads = json.loads(capsys.readouterr().out)["structures"][0]["heads"]
    known = {name for name, row in heads.items() if row["uncertainty_per_atom"] is not None}
    assert known == {"molecules", "everything"} < set(heads)
    info = ase.io.read("out.extxyz", 0).info
    assert info["uncertainty_per_atom_molecules"] == pytest.approx(
        heads["molecules"]["uncertainty_per_atom"]
    )


def test_a_model_without_uncertainties_has_no_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_model_folder(tmp_path / "plain")
    command = ("predict", "water.extxyz", "--model", plain, "--head", "molecules")
    assert run(*command, "--out", "out.extxyz") == 0
    assert "±" not in capsys.readouterr().out
    assert "uncertainty_per_atom" not in ase.io.read("out.extxyz", 0).info
