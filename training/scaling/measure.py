"""Step times of real training runs on this machine, read from their metrics."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

import numpy as np
import torch

from atomfm_calc.errors import TrainingError

PARTS = ("data", "forward", "backward", "communication", "optimizer")
"""Of a step; `seconds_data` and so on in the metrics."""
SIZES = ("structures", "atoms", "edges")
"""Of a step, over all ranks."""
WARMUP_STEPS = 5
"""Left out: compilation, first touch of memory, the first communication."""
COPY_BYTES = 2**26


@dataclass(frozen=True, kw_only=True)
class MeasuredSteps:
    """Steps of one run, in order, without the first ones."""

    ranks: int
    """Processes."""
    batches: int
    """Batches of a step, over all ranks."""
    seconds: dict[str, tuple[float, ...]]
    """Of each part by step, on rank 0."""
    sizes: dict[str, tuple[int, ...]]
    """Structures, atoms and edges by step, over all ranks."""

    @property
    def compute(self) -> list[float]:
        """Forward, backward and optimizer by step, s."""
        parts = (self.seconds[part] for part in ("forward", "backward", "optimizer"))
        return [sum(values) for values in zip(*parts, strict=True)]

    @property
    def step_seconds(self) -> float:
        """Median over steps."""
        return median(sum(values) for values in zip(*self.seconds.values(), strict=True))

    def rate(self, size: str) -> float:
        """Structures, atoms or edges per second."""
        total = sum(sum(values) for values in self.seconds.values())
        return sum(self.sizes[size]) / total


def read_steps(path: Path, ranks: int, batches: int) -> MeasuredSteps:
    """The steps of a run's `metrics.jsonl`.

    Raises:
        TrainingError: the file is missing, has too few steps, or steps without these timings.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise TrainingError(f"the measured run has left no readable {path}: {error}") from error
    steps = [line for line in lines if line.get("kind") == "step"][WARMUP_STEPS:]
    if len(steps) < 2:
        raise TrainingError(
            f"{path} has {len(steps)} steps after the first {WARMUP_STEPS}; measure more steps"
        )
    keys = [f"seconds_{part}" for part in PARTS]
    missing = sorted({key for line in steps for key in (*keys, *SIZES) if key not in line})
    if missing:
        raise TrainingError(f"{path} has steps without {', '.join(missing)}")
    return MeasuredSteps(
        ranks=ranks,
        batches=batches,
        seconds={part: tuple(line[f"seconds_{part}"] for line in steps) for part in PARTS},
        sizes={size: tuple(line[size] for line in steps) for size in SIZES},
    )


def measure(
    config: Path, ranks: int, batches: int, steps: int, folder: Path, overrides: Sequence[str] = ()
) -> MeasuredSteps:
    """Train for some steps with torchrun on this machine.

    Args:
        config: of the run; validation and checkpoints are put off.
        ranks: processes.
        batches: of one step, shared evenly by the ranks.
        steps: to measure, after those left out.
        folder: for the run; must not hold an earlier one.
        overrides: of the configuration, before those of the measurement.

    Raises:
        TrainingError: the run fails; ends with the last lines that it wrote.
    """
    if (folder / "metrics.jsonl").exists():
        raise TrainingError(f"{folder} holds an earlier measurement; choose another --out")
    never = steps + WARMUP_STEPS + 1
    settings = [
        *overrides,
        f"output={folder}",
        f"parallel.batches_per_step={batches}",
        f"fit.duration={{max_steps: {steps + WARMUP_STEPS}}}",
        "fit.log_every_steps=1",
        f"fit.validate_every_steps={never}",
        f"fit.checkpoint_every_steps={never}",
    ]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, *launcher, "-m", "training", "pretrain", str(config), *settings]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        end = last_words(result.stderr or result.stdout)
        raise TrainingError(f"training on {ranks} ranks ended with {result.returncode}:\n{end}")
    return read_steps(folder / "metrics.jsonl", ranks, batches)


def last_words(text: str) -> str:
    """The last lines of the training itself, before torchrun's own report of the failure."""
    lines = text.strip().splitlines()
    report = (i for i, line in enumerate(lines) if "elastic/multiprocessing" in line)
    return "\n".join(lines[: next(report, None) or None][-20:])


def copy_bandwidth(device: str) -> float:
    """GB read and written per second by a copy, with one thread on a CPU."""
    seconds = []
    if torch.device(device).type == "cpu":
        source, target = np.ones(COPY_BYTES, dtype=np.uint8), np.zeros(COPY_BYTES, dtype=np.uint8)
        for _ in range(7):
            started = time.perf_counter()
            np.copyto(target, source)
            seconds.append(time.perf_counter() - started)
    else:
        ones = torch.ones(COPY_BYTES, dtype=torch.uint8, device=device)
        copy = torch.zeros_like(ones)
        for _ in range(7):
            torch.accelerator.synchronize()
            started = time.perf_counter()
            copy.copy_(ones)
            torch.accelerator.synchronize()
            seconds.append(time.perf_counter() - started)
    return 2 * COPY_BYTES / median(seconds[2:]) / 1e9


def variance_per_structure(steps: MeasuredSteps) -> float:
    """Variance of the atoms of a batch over the mean number of its structures."""
    atoms = [float(value) for value in steps.sizes["atoms"]]
    mean = fmean(atoms)
    return fmean((value - mean) ** 2 for value in atoms) / fmean(steps.sizes["structures"])
