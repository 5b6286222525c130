"""A run that is killed or asked to stop goes on as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from atomfm_calc.config import dump_config
from tests.training.made import SMALL, samples, write_own_file
from training.config import (
    BatchLimits,
    DataConfig,
    DurationConfig,
    FitConfig,
    ParallelConfig,
    PretrainConfig,
)
from training.engine.checkpoint import load_checkpoint
from training.engine.interruption import RESUME_ME
from training.pretrain import pretrain

ROOT = Path(__file__).parents[2]
STEPS = 400


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PretrainConfig:
    """A run that takes some seconds, and was made once without disturbance."""
    folder = tmp_path_factory.mktemp("interruptions")
    made = PretrainConfig(
        output=folder / "undisturbed",
        heads=("one", "two"),
        architecture=SMALL,
        batch=BatchLimits(max_atoms=20, max_edges=600, max_structures=6),
        data=DataConfig(
            own_files={
                name: write_own_file(folder / f"{name}.extxyz", samples(24))
                for name in ("one", "two")
            },
            cache=folder / "cache",
            validation_fraction=0.2,
        ),
        parallel=ParallelConfig(batches_per_step=2),
        fit=FitConfig(
            duration=DurationConfig(max_steps=STEPS),
            checkpoint_every_steps=30,
            validate_every_steps=70,
            log_every_steps=1,
        ),
    )
    pretrain(made)
    return made


def _start(config: PretrainConfig, *options: str) -> subprocess.Popen[str]:
    path = config.output.with_suffix(".yaml")
    dump_config(config, path)
    command = [sys.executable, "-m", "training", "pretrain", str(path), *options]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _wait_for_step(run: Path, step: int) -> None:
    """Until the run has logged a step."""
    deadline = time.monotonic() + 120.0
    while time.monotonic() < deadline:
        if (run / "metrics.jsonl").exists():
            text = (run / "metrics.jsonl").read_text(encoding="utf-8")
            if text.count('"kind": "step"') >= step:
                return
        time.sleep(0.01)
    pytest.fail(f"{run} did not come to step {step}")


def _assert_same_run(one: Path, other: Path) -> None:
    first, second = load_checkpoint(one), load_checkpoint(other)
    for group in ("model", "average", "optimizer"):
        for name, value in getattr(first, group).items():
            assert torch.equal(value, getattr(second, group)[name]), name
    assert first.state["loader"] == second.state["loader"]
    assert first.state["samples_seen"] == second.state["samples_seen"]
    lines = map(json.loads, (other / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    steps = [line["step"] for line in lines if line["kind"] == "step"]
    assert steps == list(range(1, STEPS + 1))  # none lost, none double


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(config: PretrainConfig) -> None:
    killed = replace(config, output=config.output.with_name("killed"))
    process = _start(killed)
    _wait_for_step(killed.output, 47)  # between two checkpoints
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert load_checkpoint(killed.output).state["step"] < STEPS
    assert pretrain(killed, resume=True).finished
    _assert_same_run(config.output, killed.output)


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_saves_and_says_resume_me(config: PretrainConfig) -> None:
    stopped = replace(config, output=config.output.with_name("stopped"))
    process = _start(stopped)
    _wait_for_step(stopped.output, 10)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[1]
    assert process.returncode == RESUME_ME, output
    step = load_checkpoint(stopped.output).state["step"]
    assert f"stopped after {step} steps; go on with --resume" in output
    assert pretrain(stopped, resume=True).finished
    _assert_same_run(config.output, stopped.output)
