"""The table of the contract: report cards side by side, and the page that shows it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
from ase.calculators.emt import EMT

from atomfm_calc.cli.output import json_text
from atomfm_calc.conformance.examine import examine
from atomfm_calc.workflows.result import result_to_dict
from tests.house.sources import ROOT


@pytest.fixture
def side_by_side(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("side_by_side")


def test_cards_stand_side_by_side(side_by_side: ModuleType, tmp_path: Path) -> None:
    card = examine("EMT", EMT, checks=["copies", "translation", "lone atoms", "batch"])
    folder = tmp_path / "cards=of EMT"
    folder.mkdir()
    content = json_text(result_to_dict(card))
    (folder / "report-card.json").write_text(content, encoding="utf-8")
    given = [f"EMT={folder}", f"again={folder}", "--results", str(tmp_path)]
    side_by_side.main(given)
    table = (tmp_path / "conformance.md").read_text(encoding="utf-8").splitlines()
    assert table[0] == "| check | EMT | again |"
    assert table[2] == "| copies | **fails** raises | **fails** raises |"
    assert " eV/" in table[3]
    assert table[4:7] == ["| lone atoms | 0 | 0 |", "| batch | – | – |", "| **failed** | 1 | 1 |"]


def test_what_was_kept_gives_the_table_again(side_by_side: ModuleType, tmp_path: Path) -> None:
    kept = (ROOT / "benchmarks/results/conformance.json").read_text(encoding="utf-8")
    (tmp_path / "conformance.json").write_text(kept, encoding="utf-8")
    side_by_side.main(["--results", str(tmp_path)])
    made = (tmp_path / "conformance.md").read_text(encoding="utf-8")
    assert made == (ROOT / "benchmarks/results/conformance.md").read_text(encoding="utf-8")
    page = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
    assert made in page
    assert "**fails**" not in side_by_side.table(_of_the_default_head(json.loads(kept)))


def _of_the_default_head(cards: dict[str, object]) -> dict[str, object]:
    return {name: card for name, card in cards.items() if name.startswith("gfn1-xtb")}


def test_a_folder_without_a_card_is_named(side_by_side: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"there is no .*report-card\.json; atomfm check --out"):
        side_by_side.main([f"EMT={tmp_path / 'nothing'}", "--results", str(tmp_path)])
