"""`python -m training datasets` tells what there is and how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from atomfm_calc.errors import UnknownNameError
from training.datasets import DATASETS
from training.datasets.commands import app


def _output(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_list_has_every_dataset_but_the_users_own_file(tmp_path: Path) -> None:
    text = _output("--root", str(tmp_path), "--collection", str(tmp_path))
    assert [name for name in DATASETS if f" {name} " not in text] == ["extxyz"]


def test_the_list_counts_the_files_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "deepmd_water_train.extxyz.gz").touch()
    text = _output("list", "--root", str(tmp_path), "--collection", str(tmp_path))
    assert text.count(" 1 files here") == 1


@pytest.mark.parametrize("name", DATASETS)
def test_showing_a_dataset_tells_how_to_get_it(name: str) -> None:
    info = DATASETS[name].info
    text = " ".join(_output("show", name).split())
    for fact in (info.title, info.licence, info.doi, info.energy_zero, info.obtain):
        assert " ".join(fact.split()) in text


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"no dataset 'acac'.*Did you mean 'acac-pbe-d3'"):
        _output("show", "acac")
