"""However many ranks share a run, and however they share it, the same run comes out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from atomfm_calc.config import dump_config
from atomfm_calc.errors import ConfigError
from tests.training.made import SMALL, samples, write_own_file
from training.config import (
    BatchLimits,
    DataConfig,
    DurationConfig,
    FitConfig,
    OptimizerConfig,
    ParallelConfig,
    PretrainConfig,
)
from training.engine.checkpoint import load_checkpoint
from training.pretrain import pretrain

ROOT = Path(__file__).parents[3]
HEADS = ("one", "two", "three")
STEPS = {2: 20, 4: 6}
"""Optimizer steps by number of ranks: four ranks on two cores are slow."""
TOLERANCE = 1e-12
"""Relative. Sums of float64 in another order differ by 1e-16 in each step; 20 steps of Adam, which
divides small gradients by their own size, were seen to make 3e-14 of it."""


def _base(folder: Path, steps: int = 1) -> PretrainConfig:
    """Three heads of molecules and crystals with energies, forces or stress, in ragged batches."""
    for number, name in enumerate(HEADS):
        write_own_file(folder / f"{name}.extxyz", samples(24 + 12 * number))
    return PretrainConfig(
        output=folder / "alone",
        heads=HEADS,
        architecture=SMALL,
        batch=BatchLimits(max_atoms=20, max_edges=600, max_structures=6),
        data=DataConfig(
            own_files={name: folder / f"{name}.extxyz" for name in HEADS},
            cache=folder / "cache",
            validation_fraction=0.2,
        ),
        parallel=ParallelConfig(batches_per_step=4),
        fit=FitConfig(
            duration=DurationConfig(max_steps=steps),
            optimizer=OptimizerConfig(learning_rate=0.01, clip_norm=1.0),
            precision="fp64",
            log_every_steps=1,
        ),
    )


def _launch(path: Path, world_size: int, strategies: Sequence[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("run_strategies.py")
    ranks = []
    for rank in range(world_size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size}
        place |= {"LOCAL_WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        environment |= {name: str(value) for name, value in place.items()}
        command = [sys.executable, str(script), str(path), *strategies]
        ranks.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    deadline = time.monotonic() + 600.0
    while any(rank.poll() is None for rank in ranks):
        if time.monotonic() > deadline or any(rank.poll() for rank in ranks):
            for rank in ranks:  # the others wait for the one that has failed
                rank.kill()
        time.sleep(0.1)
    messages = "\n".join(str(rank.communicate()[1]) for rank in ranks)
    assert [rank.returncode for rank in ranks] == [0] * world_size, messages[-4000:]


@pytest.fixture(scope="module", params=[2, 4])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the same run under every strategy on 2 or 4 ranks, and alone."""
    folder = tmp_path_factory.mktemp(f"ranks{request.param}")
    config = _base(folder, STEPS[request.param])
    pretrain(config)
    groups = ParallelConfig(batches_per_step=4, head_groups=(("one",), ("two", "three")))
    grouped = replace(config, output=folder / "alone-in-groups", parallel=groups)
    pretrain(grouped)
    dump_config(config, folder / "mixed.yaml")
    _launch(folder / "mixed.yaml", request.param, ("ddp", "fsdp"))
    dump_config(grouped, folder / "grouped.yaml")
    _launch(folder / "grouped.yaml", request.param, ("multitask", "multitask-fsdp"))
    return folder


PAIRS = [
    ("ddp", "alone"),
    ("fsdp", "alone"),
    ("multitask", "alone-in-groups"),
    ("multitask-fsdp", "alone-in-groups"),
]


def _curve(run: Path) -> list[dict[str, float]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    names = ("loss", "energy_loss", "forces_loss", "stress_loss", "gradient_norm")
    return [{name: line[name] for name in names} for line in lines if line["kind"] == "step"]


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "alone"), PAIRS)
def test_the_loss_curve_does_not_depend_on_the_ranks(runs: Path, strategy: str, alone: str) -> None:
    found, expected = _curve(runs / strategy), _curve(runs / alone)
    assert len(found) in STEPS.values()
    for one, other in zip(found, expected, strict=True):
        # the log keeps twelve digits
        assert one == pytest.approx(other, rel=1e-11)
        assert min(one.values()) > 0.0  # every kind of label takes part


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "alone"), PAIRS)
def test_weights_averages_and_optimizer_do_not_depend_on_the_ranks(
    runs: Path, strategy: str, alone: str
) -> None:
    found, expected = load_checkpoint(runs / strategy), load_checkpoint(runs / alone)
    for group in ("model", "average", "optimizer"):
        one, other = getattr(found, group), getattr(expected, group)
        assert one.keys() == other.keys()
        for name, value in other.items():
            assert torch.allclose(one[name], value, rtol=TOLERANCE, atol=TOLERANCE), name


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "alone"), PAIRS)
def test_positions_and_samples_seen_do_not_depend_on_the_ranks(
    runs: Path, strategy: str, alone: str
) -> None:
    found, expected = load_checkpoint(runs / strategy), load_checkpoint(runs / alone)
    for name in ("loader", "samples_seen", "samples", "step", "heads"):
        assert found.state[name] == expected.state[name], name
    assert found.state["best_error"] == pytest.approx(expected.state["best_error"], rel=1e-9)


@pytest.mark.slow
def test_sharded_weights_are_trained_in_every_precision(tmp_path: Path) -> None:
    for precision in ("fp32", "bf16"):
        folder = tmp_path / precision
        folder.mkdir()
        config = _base(folder, steps=3)
        config = replace(config, fit=replace(config.fit, precision=precision))
        pretrain(config)
        dump_config(config, folder / "run.yaml")
        _launch(folder / "run.yaml", 2, ("fsdp",))
        found, expected = _curve(folder / "fsdp"), _curve(config.output)
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-4)  # float32: 24 bits, sums of hundreds


@pytest.mark.slow
def test_a_run_of_several_ranks_goes_on_alone(runs: Path) -> None:
    steps = load_checkpoint(runs / "fsdp").state["step"] + 2
    config = replace(_base(runs, steps), output=runs / "fsdp")
    result = pretrain(config, resume=True)
    assert (result.steps, result.finished) == (steps, True)


def test_several_processes_are_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29511")
    with pytest.raises(
        ConfigError, match=r"2 processes cannot run parallel.strategy single; set it to ddp"
    ):
        pretrain(_base(tmp_path))
