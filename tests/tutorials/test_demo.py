"""The demo runs from end to end, on a tiny model."""

from __future__ import annotations

from pathlib import Path

import ase.io
import pytest
from ase.build import bulk, molecule

from tests.made.models import make_model_folder

pytest.importorskip("matplotlib")

from tutorials.demo import main


@pytest.mark.parametrize("brings_a_file", [False, True])
def test_the_demo_leaves_trajectories_a_plot_and_a_summary(
    tmp_path: Path, brings_a_file: bool
) -> None:
    model = make_model_folder(tmp_path / "model")
    arguments = ["--model", str(model), "--out", str(tmp_path / "demo"), "--md-steps", "20"]
    if brings_a_file:
        ase.io.write(tmp_path / "mine.extxyz", [bulk("Si"), molecule("SO2")])
        arguments.insert(0, str(tmp_path / "mine.extxyz"))
    main(arguments)
    left = {path.name for path in (tmp_path / "demo").iterdir()}
    assert {"NaCl.traj", "ethanol.traj", "dynamics.traj", "plot.png", "summary.md"} <= left
    summary = (tmp_path / "demo" / "summary.md").read_text()
    assert "| 0 Si2 | crystals |" in summary if brings_a_file else "CH4O" not in summary
    assert ("Left out: 1 O2S" in summary) == brings_a_file
