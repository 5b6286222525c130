"""The command, its JSON, declared units, a model's second opinion, and real files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from atomfm_calc.errors import ConfigError, UnknownNameError
from atomfm_calc.registry.catalog import list_models, load_model
from tests.training.doctor.made import HARTREE, KBAR, crystals, molecules, written
from training.__main__ import datasets
from training.doctor.checks import CHECKS, examine
from training.doctor.commands import check, own_data
from training.doctor.report import Finding, Report, ranges

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT.parent / "shared" / "data"
GOOD = (
    "botnet_acac_train",
    "qml_amons_train",
    "deepmd_combustion_CHO",
    "mlearn_Cu_Li_Mo_Si_train",
    "matpes_pbe_elements",
)


def _in_hartree(folder: Path) -> Path:
    frames = molecules()
    for atoms in frames:
        atoms.info["REF_energy"] /= HARTREE
    return written(folder / "own.extxyz.xz", frames)


def test_the_command_writes_json_and_ends_with_one_if_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report.json"
    with pytest.raises(RuntimeError) as end:  # what typer ends a command with
        check(_in_hartree(tmp_path), model="none", json_file=output)
    assert getattr(end.value, "exit_code", None) == 1
    assert "wrong: " in capsys.readouterr().out
    report = json.loads(output.read_text())
    assert report["verdict"] == "wrong"
    (bad,) = [entry for entry in report["findings"] if entry["verdict"] == "wrong"]
    assert bad["check"] == "energies and forces"
    assert report["facts"]["elements"] == {"H": 40, "C": 20, "O": 20}


def test_the_command_is_one_of_the_datasets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        datasets(SimpleNamespace(args=["check", "--help"]))
    assert end.value.code == 0
    assert "--units" in capsys.readouterr().out


def test_the_file_is_good_once_its_units_are_declared(tmp_path: Path) -> None:
    path = _in_hartree(tmp_path)
    assert examine(own_data(path)).verdict == "wrong"
    assert examine(own_data(path, ["energy=hartree"])).verdict == "ok"


def test_words_of_the_command_line_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "own.extxyz"
    with pytest.raises(UnknownNameError, match="no word of --units 'energies'.*'energy'"):
        own_data(path, ["energies=hartree"])
    with pytest.raises(ConfigError, match="no energy unit 'Ha'"):
        own_data(path, ["energy=Ha"])
    with pytest.raises(ConfigError, match="has no '='"):
        own_data(path, keys=["energy"])


@pytest.mark.skipif(not list_models(), reason="no model ships with this copy")
def test_a_model_tells_sign_and_unit_of_a_stress(tmp_path: Path) -> None:
    frames = crystals(20, scale=0.96)  # under pressure, on which EMT and the model agree
    loaded = load_model("painn-lead")
    good = examine(own_data(written(tmp_path / "good.extxyz", frames)), loaded)
    assert {finding.verdict for finding in good.of("model")} == {"ok"}
    for atoms in frames:
        atoms.info["REF_stress"] = -atoms.info["REF_stress"] / KBAR
    bad = examine(own_data(written(tmp_path / "bad.extxyz", frames)), loaded)
    (finding,) = [each for each in bad.of("model") if each.verdict == "wrong"]
    assert "the stress is in kbar" in finding.advice
    assert "stress_sign=compression" in finding.advice


@pytest.mark.parametrize("name", GOOD)
def test_published_files_have_nothing_wrong(name: str) -> None:
    path = PUBLISHED / f"{name}.extxyz.gz"
    if not path.is_file():
        pytest.skip("the file is not here")
    report = examine(own_data(path), limit=60)
    assert [finding for finding in report.findings if finding.verdict == "wrong"] == []
    assert sum(finding.verdict == "suspicious" for finding in report.findings) <= 2


def test_every_finding_belongs_to_a_check_of_the_table(tmp_path: Path) -> None:
    report = examine(own_data(written(tmp_path / "own.extxyz", crystals(20))))
    assert {finding.check for finding in report.findings} <= set(CHECKS)


def test_rows_are_written_as_ranges() -> None:
    assert ranges([3, 0, 1, 2, 7, 9, 10]) == "0-3, 7, 9-10"
    assert ranges([0, 2, 4, 6], limit=2) == "0, 2, ... 2 more"


def test_the_worst_finding_is_the_verdict() -> None:
    findings = [Finding(check="a", verdict=v, message="") for v in ("ok", "wrong", "suspicious")]
    assert Report(file="f", n_rows=1, findings=tuple(findings)).verdict == "wrong"
