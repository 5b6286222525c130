"""Every numbered tutorial is a notebook in jupytext's percent format, and runs as a script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.registry.catalog import list_models
from tests.house.sources import ROOT

pytest.importorskip("matplotlib", reason="the extra plots is not installed")

TUTORIALS = sorted((ROOT / "tutorials").glob("[0-9][0-9]_*.py"))
PACKAGES: dict[str, tuple[str, ...]] = {
    "05_phonons": ("phonopy", "matscipy"),
    "06_elastic_constants": ("matscipy",),
    "09_screening": ("pyarrow",),
    "10_dataset_adapter": ("h5py",),
    "12_hyperparameters": ("deephyper",),
}
"""Packages of extras without which a tutorial has nothing to show."""
FRONT_MATTER = re.compile(r"# ---\n(# .*\n)+# ---\n\n")
CELL = re.compile(r"^# %%(?: \[(markdown)\])?\n", flags=re.MULTILINE)
ids = [path.stem for path in TUTORIALS]


def cells(path: Path) -> list[tuple[str | None, str]]:
    """Kind ("markdown" or None) and text of every cell."""
    text = path.read_text(encoding="utf-8")
    pieces = CELL.split(text[FRONT_MATTER.match(text).end() :])
    assert pieces[0] == "", "nothing stands before the first cell"
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


@pytest.mark.parametrize("path", TUTORIALS, ids=ids)
def test_a_tutorial_is_a_notebook_that_begins_with_its_title(path: Path) -> None:
    found = cells(path)
    kind, text = found[0]
    assert kind == "markdown"
    assert re.match(r"# # \w", text)
    assert not [other for other, text in found[1:] if other and re.search(r"^# # ", text, re.M)]
    for kind, text in found:
        lines = text.strip().splitlines()
        assert lines, "no cell is empty"
        if kind == "markdown":
            assert [line for line in lines if line != "#" and not line.startswith("# ")] == []


def test_the_list_of_tutorials_names_each_in_order() -> None:
    text = (ROOT / "tutorials" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\((\d\d_\w+\.py)\)", text)
    assert listed == [path.name for path in TUTORIALS]
    for path, line in zip(TUTORIALS, re.findall(r"^\| \[.*", text, re.MULTILINE), strict=True):
        title = cells(path)[0][1].splitlines()[0].removeprefix("# # ")
        assert f"[{title}]" in line


@pytest.mark.slow
@pytest.mark.skipif(not list_models(), reason="no model ships with this copy")
@pytest.mark.parametrize("path", TUTORIALS, ids=ids)
def test_a_tutorial_runs_and_draws(path: Path, tmp_path: Path) -> None:
    missing = [name for name in PACKAGES.get(path.stem, ()) if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    environment = {
        **os.environ,
        "MPLBACKEND": "module://tests.tutorials.drawing",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
    }
    command = [sys.executable, str(path)]
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.strip()
    figures = sorted(tmp_path.glob("figure-*.png"))
    assert figures
    assert all(spread_of_colors(figure) > 0.01 for figure in figures)


def spread_of_colors(picture: Path) -> float:
    """Standard deviation of the channels of a PNG, 0 for an empty page."""
    from matplotlib.image import imread

    return float(np.std(imread(picture)[..., :3]))
