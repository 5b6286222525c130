"""`python -m training datasets` tells what there is and how to get it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atomfm_calc.errors import UnknownNameError
from training.datasets import DATASETS
from training.datasets.commands import app

Output = Callable[..., str]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Output:
    """Runs the words of a command and gives what it prints on a very wide terminal."""
    monkeypatch.setenv("COLUMNS", "2000")

    def run(*words: str) -> str:
        app(list(words), standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_the_list_has_every_dataset_but_the_users_own_file(output: Output, tmp_path: Path) -> None:
    text = output("--root", str(tmp_path), "--collection", str(tmp_path))
    assert [name for name in DATASETS if f" {name} " not in text] == ["extxyz"]


def test_the_list_counts_the_files_below_the_root(output: Output, tmp_path: Path) -> None:
    (tmp_path / "deepmd_water_train.extxyz.gz").touch()
    text = output("list", "--root", str(tmp_path), "--collection", str(tmp_path))
    assert text.count(" 1 files here") == 1


@pytest.mark.parametrize("name", DATASETS)
def test_showing_a_dataset_tells_how_to_get_it(output: Output, name: str) -> None:
    info = DATASETS[name].info
    text = " ".join(output("show", name).split())
    for fact in (info.title, info.licence, info.doi, info.energy_zero, info.obtain):
        assert " ".join(fact.split()) in text


def test_an_unknown_name_is_answered_with_those_there_are(output: Output) -> None:
    with pytest.raises(UnknownNameError, match=r"no dataset 'acac'.*Did you mean 'acac-pbe-d3'"):
        output("show", "acac")
