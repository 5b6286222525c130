"""Progress, report and plan say what is there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ase.build import bulk

from atomfm_calc.cli import main
from atomfm_calc.errors import DataError, SetupError
from atomfm_calc.packages import require
from atomfm_calc.screening.drawing import structure_svg
from atomfm_calc.screening.drive import run_campaign
from atomfm_calc.screening.plan import measure, project
from atomfm_calc.screening.progress import Progress
from atomfm_calc.screening.report import write_report
from atomfm_calc.screening.team import Team

Screen = Callable[..., Path]
STAGES = [{"name": "only", "heads": ["all"], "top": {"by": "energy", "count": 3}}]


def test_the_report_shows_rows_structures_and_quarantine(screen: Screen, tmp_path: Path) -> None:
    folder = screen(stages=STAGES, shortest_distance=4.0)
    page = write_report(folder, tmp_path / "page.html").read_text(encoding="utf-8")
    body = page[page.index("<body>") : page.index("</html>")]
    tree = ElementTree.fromstring(body)
    texts = {text.text for text in tree.iter("text")}
    assert {"H", "Og", "Fe"} <= texts
    assert any(text and text.startswith("energy_per_atom") for text in texts)
    assert len(list(tree.iter("figure"))) == 3
    assert next(cell.text for cell in tree.iter("td")) == "overlap"


def test_a_report_needs_a_screening(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no screening"):
        write_report(tmp_path, tmp_path / "page.html")


def test_a_crystal_is_drawn_with_its_cell() -> None:
    tree = ElementTree.fromstring(structure_svg(bulk("NaCl", "rocksalt", a=5.64)))
    assert (len(list(tree.iter("circle"))), len(list(tree.iter("line")))) == (2, 12)


def test_progress_tells_rate_and_the_slowest_rank(campaign, tmp_path, caplog) -> None:
    caplog.set_level(logging.INFO)
    run_campaign(campaign(), tmp_path / "out", Team(), Progress(Team()).report)
    assert "of 60 (" in caplog.text
    assert "quarantined" in caplog.text


def test_a_plan_extrapolates_what_was_measured(campaign) -> None:
    measured = measure(campaign(), seconds=0.2)
    one, many = project(measured, 1.1e9, [1, 1000])
    assert measured.rows_per_candidate == 1.0
    assert many.structures_per_s == pytest.approx(1000 * one.structures_per_s)
    assert one.seconds - measured.start_s == pytest.approx(1000 * (many.seconds - measured.start_s))
    assert one.seconds == pytest.approx(1.1e9 / measured.structures_per_s, rel=0.01)


def test_the_command_screens_a_file_and_goes_on(model: Path, tmp_path: Path, capsys) -> None:
    import ase.io

    ase.io.write(tmp_path / "in.extxyz", [bulk("Cu"), bulk("Al")])
    out = str(tmp_path / "out")
    line = [
        "screen",
        str(tmp_path / "in.extxyz"),
        "--model",
        str(model),
        "--head",
        "all",
        "--out",
        out,
    ]
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            main(line)
        assert ended.value.code == 0
    assert "atomfm screen report" in capsys.readouterr().out
    assert len(list(Path(out).rglob("block-*.parquet"))) == 1


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch) -> None:
    monkeypatch.setattr("atomfm_calc.packages.find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r'pip install "atomfm\[mpi\]"'):
        require("mpi4py")
