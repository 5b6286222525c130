"""The benchmark of uncertainties runs, and shifts what it says it shifts."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from atomfm_calc.config import dump_config
from tests.house.sources import ROOT
from tests.made.models import head_info, make_model_folder
from tests.made.structures import STRUCTURES
from tests.training.made import labeled, write_own_file
from training.config import BatchLimits, DataConfig, DurationConfig, FitConfig, PretrainConfig
from training.uncertainty import make_uncertainties

ELEMENTS = ("H", "C", "O")


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imported as the script that it is."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("uncertainty")


def test_every_head_gets_reliability_and_shifts(benchmark: ModuleType, tmp_path: Path) -> None:
    heads = {"first": head_info(ELEMENTS), "ions": head_info((*ELEMENTS, "Ar"))}
    model = make_model_folder(tmp_path / "tiny", heads)
    rows = [labeled(2 + row % 4, row) for row in range(60)]
    own = {"first": write_own_file(tmp_path / "first.extxyz", rows)}
    data = DataConfig(
        own_files=own, cache=tmp_path / "cache", validation_fraction=0.3, test_fraction=0.3
    )
    config = PretrainConfig(
        output=tmp_path / "run",
        heads=("first",),
        data=data,
        batch=BatchLimits(max_atoms=20, max_edges=400, max_structures=6),
        fit=FitConfig(duration=DurationConfig(max_steps=1)),
    )
    dump_config(config, tmp_path / "config.yaml")
    make_uncertainties(str(model), tmp_path / "config.yaml", tmp_path / "known")
    command = ["--data", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "result")]
    benchmark.main([str(tmp_path / "known"), *command])
    found = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["heads"]["first"]
    n_test = found["calibration"]["n_structures"]
    assert sum(number for _, _, number in found["reliability"]) == n_test
    assert len(found["shifts"]["geometry"]) == 3
    assert "one atom of an element of other heads" in found["shifts"]["elements"]
    assert any(name.startswith("without ") for name in found["shifts"]["elements"])
    assert found["shifts"]["charges"] == {}  # the head knows none
    assert (tmp_path / "result.png").read_bytes()[:4] == b"\x89PNG"


def test_shifts_change_what_they_say(benchmark: ModuleType) -> None:
    water = STRUCTURES["water"]
    moved = benchmark.displaced(water, 0.4)
    lengths = np.linalg.norm(moved.positions - water.positions, axis=1)
    np.testing.assert_allclose(lengths, 0.4)
    assert benchmark.with_foreign_atom(water, [92], 4).atomic_numbers.tolist() == [8, 92, 1]
    salt = benchmark.scaled(STRUCTURES["rock salt"], 1.2)
    np.testing.assert_allclose(salt.cell, 1.2 * STRUCTURES["rock salt"].cell)
