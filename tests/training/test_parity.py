"""Labels and predictions of held-out structures, for the model's page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import ConfigError
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.parity import Parity, load_parity, save_parity
from tests.training.made import CUTOFF, HEADS, LIMITS, SMALL, samples
from training.data.loader import Assembler, FixedLoader
from training.data.packed import pack
from training.data.source import MemorySource
from training.engine.metrics import evaluate_model
from training.parity import _curves, parity


@pytest.fixture
def batches() -> FixedLoader:
    source = MemorySource(pack(samples(16), CUTOFF), ["made"])
    return FixedLoader(Assembler(source, np.arange(16) % 2), np.arange(16), LIMITS)


@pytest.fixture
def model() -> FoundationModel:
    return FoundationModel(SMALL, HEADS).eval().requires_grad_(False)


def test_pairs_have_the_errors_of_the_evaluation(model, batches) -> None:
    found, errors = parity(model, batches), evaluate_model(model, batches).result()
    for head in HEADS:
        pairs = np.array(found[head].energies)
        mean = 1e3 * np.abs(pairs[:, 1] - pairs[:, 0]).mean()
        assert mean == pytest.approx(errors[head].energy_mae_meV_per_atom, abs=0.1)
        pairs = np.array(found[head].forces)
        mean = 1e3 * np.abs(pairs[:, 1] - pairs[:, 0]).mean()
        assert mean == pytest.approx(errors[head].forces_mae_meV_per_angstrom, abs=0.1)


def test_structures_without_forces_have_none_by_element(model, batches) -> None:
    found = parity(model, batches)
    assert sum(head.n_structures for head in found.values()) == 16
    assert set(found["second"].forces_mae_by_element) <= {"H", "C", "O"}


def test_a_file_is_read_as_it_was_written(model, batches, tmp_path: Path) -> None:
    made = Parity(split="test", heads=parity(model, batches))
    save_parity(made, tmp_path / "parity.json")
    assert load_parity(tmp_path / "parity.json", HEADS) == made
    assert list(load_parity(tmp_path / "parity.json", ["second"]).heads) == ["second"]
    with pytest.raises(ConfigError, match="about the heads first, second, the model has third"):
        load_parity(tmp_path / "parity.json", ["third"])


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parity.json").write_text("no JSON")
    with pytest.raises(ConfigError, match="is no JSON"):
        load_parity(tmp_path / "parity.json", HEADS)
    (tmp_path / "parity.json").write_text('{"split": "test", "heds": {}}')
    with pytest.raises(ConfigError, match="heds"):
        load_parity(tmp_path / "parity.json", HEADS)


def test_learning_curves_come_from_the_log(tmp_path: Path) -> None:
    errors = {"energy_mae_meV_per_atom": 3.0, "forces_mae_meV_per_angstrom": None}
    lines = [{"kind": "step", "step": 1}]
    lines += [{"kind": "validation", "step": step, "errors": {"one": errors}} for step in (5, 9)]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [point.step for point in _curves(path)["one"]] == [5, 9]
    assert _curves(tmp_path / "none.jsonl") == {}
