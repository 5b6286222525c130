"""The benchmark of the training step runs and says what is missing."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from atomfm_calc.graph import edge_vectors
from tests.house.sources import ROOT
from training.config import BatchLimits

SMALL = (
    "--features 4 --layers 1 --radial 3 --cutoff 3 --batches 1 --repeats 1 --max-structures 2"
    " --kernels reference --precisions fp32 --threads 1 --no-memory"
).split()


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imported as the script that it is; it sets threads."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    return importlib.import_module("training_step")


def test_the_figures_of_each_variant_are_saved(benchmark: ModuleType, tmp_path: Path) -> None:
    benchmark.main([*SMALL, "--out", str(tmp_path / "out.json")])
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [row["recompute"] for row in result["rows"]] == [False, True]
    for row in result["rows"]:
        assert row["program"] == "atomfm"
        assert 0.0 < row["seconds_per_step"]["wall_least"] <= row["seconds_per_step"]["wall_median"]
        rate = result["mean_of_a_batch"]["edges"] / row["seconds_per_step"]["wall_median"]
        assert row["edges_per_second"] == pytest.approx(rate, rel=0.05)
    assert result["hydragnn"]["status"].startswith("not asked for")


def test_a_checkout_that_cannot_be_imported_is_reported_with_the_reason(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'x'\" >&2\nexit 1\n")
    program.chmod(0o755)
    given = [*SMALL, "--hydragnn", str(tmp_path), "--hydragnn-python", str(program)]
    result = benchmark.compare(benchmark.read_arguments(given), [sys.executable])
    assert result["hydragnn"]["status"] == "absent: ModuleNotFoundError: No module named 'x'"
    assert {row["program"] for row in result["rows"]} == {"atomfm"}


def test_both_programs_get_the_same_edge_vectors(benchmark: ModuleType, tmp_path: Path) -> None:
    limits = BatchLimits(max_structures=3)
    (batch,) = benchmark.made_batches(limits, count=1, cutoff=4.0)
    benchmark.write_batches([batch], tmp_path / "batches.pt")
    (table,) = torch.load(tmp_path / "batches.pt", weights_only=True)
    center, neighbor = table["edge_index"]
    ends = table["positions"][neighbor] - table["positions"][center]
    expected = edge_vectors(batch.graph)
    assert torch.allclose(ends + table["edge_shifts"], expected, atol=1e-5)
    assert torch.linalg.vector_norm(expected, dim=1).max() <= 4.0
