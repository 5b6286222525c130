"""Errors by head and class of elements add up to those of the evaluation."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from atomfm_calc.models.foundation import FoundationModel
from tests.house.sources import ROOT
from tests.training.made import CUTOFF, HEADS, LIMITS, SMALL, samples
from training.data.loader import Assembler, FixedLoader
from training.data.packed import pack
from training.data.source import MemorySource
from training.engine.metrics import evaluate_model


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imported as the script that it is."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("head_errors")


def test_every_element_has_one_class(benchmark: ModuleType) -> None:
    symbols = " ".join(benchmark.CLASSES.values()).split()
    assert len(symbols) == len(set(symbols)) == 103
    assert (benchmark.class_of_element()[1:104] >= 0).all()


def test_force_errors_of_all_classes_make_that_of_the_head(benchmark: ModuleType) -> None:
    source = MemorySource(pack(samples(16), CUTOFF), ["made"])
    batches = FixedLoader(Assembler(source, np.arange(16) % 2), np.arange(16), LIMITS)
    model = FoundationModel(SMALL, HEADS).eval().requires_grad_(False)
    found, errors = benchmark.errors_by_class(model, batches), evaluate_model(model, batches)
    name = "forces_mae_meV_per_angstrom"
    for head, whole in errors.result().items():
        rows = found[head].values()
        mean = sum(row["atoms"] * row[name] for row in rows) / sum(row["atoms"] for row in rows)
        assert mean == pytest.approx(getattr(whole, name), rel=1e-5)


def test_learning_curves_count_the_structures_of_all_heads(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    errors = {"energy_mae_meV_per_atom": 3.0, "forces_mae_meV_per_angstrom": 4.0}
    line = {"kind": "validation", "samples_seen": {"a": 2, "b": 3}, "errors": {"a": errors}}
    (tmp_path / "log").write_text('{"kind": "step"}\n' + json.dumps(line) + "\n", encoding="utf-8")
    assert benchmark.learning_curves(tmp_path / "log") == {"a": [{"drawn": 5, **errors}]}
