"""Choosing among heads on the command line: advice, the table of all, the mixture."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import pytest
from ase.build import bulk, molecule

from tests.atomfm_calc.cli.test_cli import run
from tests.made.models import make_mixture_folder, make_model_folder


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_mixture_folder(tmp_path_factory.mktemp("mixture") / "tiny"))


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    ase.io.write(tmp_path / "two.extxyz", [molecule("H2O"), bulk("NaCl", "rocksalt", a=5.6)])
    return tmp_path / "two.extxyz"


def test_advice_ranks_every_head_of_every_structure(
    mixture: str, structures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "advise", structures, "--model", mixture, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    water, salt = content["structures"]
    assert (content["model"], water["formula"], salt["formula"]) == ("tiny 0.0.1", "H2O", "ClNa")
    assert {head["head"] for head in water["heads"][:3]} == {"molecules", "ions", "everything"}
    assert water["heads"][3]["reasons_against"][0] == "has seen no H"
    assert sum(head["weight"] for head in salt["heads"]) == pytest.approx(1.0)


def test_advice_is_a_table_for_people(
    tmp_path: Path, structures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "advise", structures, "--model", make_model_folder(tmp_path / "tiny")) == 0
    text = capsys.readouterr().out
    assert "0: H2O" in text
    assert "1: ClNa" in text


def test_the_table_of_all_heads_has_their_weights(
    mixture: str,
    structures: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run("predict", structures, "--heads", "all", "--model", mixture) == 0
    text = capsys.readouterr().out
    assert "weight" in text
    assert text.count("│ mixture") == 2
    assert "off the" in text


def test_the_mixture_is_a_head_of_predict(mixture: str, structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.extxyz"
    assert run("predict", structures, "--head", "mixture", "--model", mixture, "--out", out) == 0
    water, salt = ase.io.read(out, ":")
    assert water.info["atomfm_head"] == "mixture"
    assert salt.get_stress().shape == (6,)


def test_a_mixture_without_a_gate_says_what_to_do(
    tmp_path: Path, structures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model_folder(tmp_path / "tiny")
    assert run("predict", structures, "--head", "mixture", "--model", model) == 2
    assert "python -m training gate" in capsys.readouterr().err
