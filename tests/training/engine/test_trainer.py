"""Training lowers the loss, stops when it must, and resumes as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atomfm_calc.errors import TrainingError
from tests.training.made import packed, small_trainer
from training.config import DurationConfig, OptimizerConfig
from training.engine import duration
from training.engine.duration import Progress
from training.engine.ema import MovingAverage
from training.engine.optim import learning_rate


def test_an_interrupted_run_ends_with_the_same_bits_as_an_uninterrupted_one(
    tmp_path: Path,
) -> None:
    whole, first = small_trainer(tmp_path / "whole"), small_trainer(tmp_path / "parts")
    whole.fit()
    first.fit(stop_after_steps=5)
    second = small_trainer(tmp_path / "parts")
    second.resume()
    result = second.fit()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, second.average.state_dict()[name]), name
    assert result.samples_seen == dict(whole.loader.samples_seen)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path, max_steps=60)
    trainer.fit()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "step"]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_a_validation_line_has_errors_and_samples_seen_of_each_head(tmp_path: Path) -> None:
    small_trainer(tmp_path, max_steps=2).fit()
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "validation"
    assert set(last["errors"]) == {"first", "second"}
    assert sum(last["samples_seen"].values()) > 0


def test_a_loss_that_is_not_finite_stops_before_the_step_and_names_the_sources(
    tmp_path: Path,
) -> None:
    graphs = packed()
    graphs.columns["positions"][graphs.first_atom[7]] = float("nan")
    trainer = small_trainer(tmp_path, graphs, max_steps=1000)
    with pytest.raises(TrainingError, match=r"heads second; 1 structures, such as made#7\."):
        trainer.fit()
    assert all(torch.isfinite(value).all() for value in trainer.model.state_dict().values())


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    small_trainer(tmp_path).fit(stop_after_steps=1)
    other = small_trainer(tmp_path)
    other.run = replace(other.run, fingerprint="other")
    with pytest.raises(TrainingError, match="other heads or other data"):
        other.resume()


def test_references_and_scale_are_not_trained(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path, max_steps=3)
    trainer.fit()
    assert trainer.model.head("first").references.abs().max() == 0.0
    assert trainer.model.head("first").scale == 1.0


def test_the_learning_rate_warms_up_and_ends_at_its_end_value() -> None:
    config = OptimizerConfig(learning_rate=1e-3, end_learning_rate=1e-5, warmup_fraction=0.1)
    assert learning_rate(config, 0.0) == pytest.approx(1e-5)  # a hundredth of the full rate
    assert learning_rate(config, 0.1) == pytest.approx(1e-3, rel=0.03)
    assert learning_rate(config, 0.55) > learning_rate(config, 0.9)
    assert learning_rate(config, 1.0) == pytest.approx(1e-5)


def test_the_clock_of_an_earlier_part_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(duration.time, "monotonic", lambda: now[0])
    progress = Progress(DurationConfig(time_budget_minutes=10.0, max_steps=100))
    now[0] += 60.0
    assert progress.fraction() == pytest.approx(0.1)
    progress.resume(step=20, samples=0, seconds=240.0)
    assert progress.fraction() == pytest.approx(0.4)
    progress.step = 90
    assert progress.fraction() == pytest.approx(0.9)
    now[0] += 1000.0
    assert progress.fraction() == 1.0


def test_the_average_is_applied_inside_the_block_only(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = MovingAverage(model, 0.5)
    start = model.weight.item()
    model.weight.data += 1.0
    average.update(model, step=100)
    with average.applied(model):
        assert model.weight.item() == pytest.approx(start + 0.5)
    assert model.weight.item() == pytest.approx(start + 1.0)
