"""Metrics: lines for programs, figures for TensorBoard, nothing of steps that are made again."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.engine.logs import METRICS_FILE, TENSORBOARD_FOLDER, RunLog


def _steps(folder: Path) -> list[int]:
    text = (folder / METRICS_FILE).read_text(encoding="utf-8")
    return [json.loads(line)["step"] for line in text.splitlines()]


def test_figures_also_go_to_tensorboard(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=True) as log:
        log.record("step", {"step": 1, "loss": 2.5})
        log.record("validation", {"step": 1, "errors": {"one": {"energy": 3.0, "stress": None}}})
    board = EventAccumulator(str(tmp_path / TENSORBOARD_FOLDER))
    board.Reload()
    assert [(event.step, event.value) for event in board.Scalars("step/loss")] == [(1, 2.5)]
    assert board.Scalars("validation/errors/one/energy")[0].value == 3.0
    assert "validation/errors/one/stress" not in board.Tags()["scalars"]


def test_lines_of_steps_that_are_made_again_are_forgotten(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        for step in range(1, 6):
            log.record("step", {"step": step})
    with (tmp_path / METRICS_FILE).open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "st')  # killed while writing
    with RunLog(tmp_path, step=3) as log:
        log.record("step", {"step": 4})
    assert _steps(tmp_path) == [1, 2, 3, 4]


def test_a_silent_rank_writes_nothing(tmp_path: Path) -> None:
    with RunLog(tmp_path, writes=False, tensorboard=True) as log:
        log.record("step", {"step": 1})
        log.progress(0.5, {"loss": 1.0})
    assert not list(tmp_path.iterdir())


def test_a_step_of_a_long_run_keeps_its_digits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="training.engine.logs")
    with RunLog(tmp_path) as log:
        log.progress(0.889, {"step": 15843, "loss": 0.612512})
    assert "88.9 % step 15843 loss 0.6125" in caplog.text
