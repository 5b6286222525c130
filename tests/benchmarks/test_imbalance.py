"""The benchmark of unequal heads: its arithmetic, its tables, and all of it in miniature."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from atomfm_calc.config import dump_config
from tests.house.sources import ROOT
from tests.training.made import LIMITS, SMALL, labeled, write_own_file
from training.config import DataConfig, DurationConfig, FitConfig, PretrainConfig


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imported as the script that it is."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("imbalance")


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Its tables."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("imbalance_report")


def run(seed: int, kind: str, **errors: float) -> dict[str, Any]:
    """A run with the same energy and force error of each head."""
    test = {
        head: {"energy_mae_meV_per_atom": error, "forces_mae_meV_per_angstrom": error}
        for head, error in errors.items()
    }
    drawn = dict.fromkeys(errors, 8)
    return {"seed": seed, "kind": kind, "rule": "equal", "drawn": drawn, "test": test}


def content(*runs: dict[str, Any]) -> dict[str, Any]:
    """Two heads, of which the second is the larger one."""
    facts = {"small": {"train": 4, "test": 1}, "large": {"train": 40, "test": 10}}
    seeds = sorted({one["seed"] for one in runs})
    return {
        "joint samples": 16,
        "heads": {str(seed): facts for seed in seeds},
        "references": {str(seed): run(seed, "", small=9.0, large=9.0)["test"] for seed in seeds},
        "runs": list(runs),
    }


def test_a_head_alone_makes_as_many_steps_as_its_draws_allow(benchmark: ModuleType) -> None:
    assert benchmark.batch_for_steps(1000, 500, most=16) == 2
    assert benchmark.batch_for_steps(100, 500, most=16) == 1  # 100 steps
    assert benchmark.batch_for_steps(12_000, 500, most=16) == 16  # 750 steps


def test_a_whole_budget_is_limited_by_structures_or_by_atoms(benchmark: ModuleType) -> None:
    drawn, atoms = {"molecules": 90, "crystals": 10}, {"molecules": 5.0, "crystals": 55.0}
    assert benchmark.whole_budget(drawn, atoms, "molecules") == 100  # 500 of 1,000 atoms
    assert benchmark.whole_budget(drawn, atoms, "crystals") == 18  # 1,000 atoms / 55


def test_a_head_gains_only_if_all_seeds_say_so(report: ModuleType) -> None:
    runs = [run(seed, "own draws", small=10.0, large=10.0) for seed in (0, 1)]
    runs += [run(0, "joint", small=5.0, large=20.0), run(1, "joint", small=8.0, large=5.0)]
    made = content(*runs)
    errors = [
        report.ratios(made, "equal", "own draws", head, report.FORCES)
        for head in ("small", "large")
    ]
    assert errors == [[0.5, 0.8], [2.0, 0.5]]
    assert [report.verdict(values) for values in errors] == ["gains", "open"]
    text = report.markdown(made)
    assert text.index("| large | 40 | 10 | 8 (0.2) |") < text.index("| small | 4 | 1 | 8 (2) |")
    assert "| small | alone, own draws | 0.63 (0.50–0.80) gains |" in text  # sqrt(0.5 * 0.8)


def test_everything_runs_and_what_is_done_is_not_done_again(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    own = {
        name: write_own_file(tmp_path / f"{name}.extxyz", [labeled(3, n) for n in range(count)])
        for name, count in (("large", 40), ("small", 20))
    }
    data = DataConfig(
        own_files=own, cache=tmp_path / "cache", validation_fraction=0.2, test_fraction=0.3
    )
    fit = FitConfig(duration=DurationConfig(max_samples=12))
    heads = ("large", "small")
    made = PretrainConfig(
        output=tmp_path, heads=heads, architecture=SMALL, batch=LIMITS, data=data, fit=fit
    )
    dump_config(made, tmp_path / "config.yaml")
    command = [str(tmp_path / "config.yaml"), "--seeds", "0", "--runs", str(tmp_path / "runs")]
    command += ["--out", str(tmp_path / "result")]
    benchmark.main(command)
    found = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    kinds = [one["kind"] for one in found["runs"]]
    assert [kinds.count(kind) for kind in ("joint", "own draws", "whole budget")] == [3, 4, 1]
    assert (tmp_path / "result.png").read_bytes()[:4] == b"\x89PNG"
    benchmark.main(command)
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == found
