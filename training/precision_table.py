"""What each precision costs and brings, measured on a run: JSON and a Markdown table.

Every precision trains the first steps of the run anew, from the same weights on the same
batches, and evaluates the run's final weights on held-out structures, each in a process of its own
so that its peak memory is its own.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import platform
import resource
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.models.foundation import FoundationModel
from training.assemble import assemble
from training.config import DurationConfig, ParallelConfig, PretrainConfig
from training.data.loader import FixedLoader
from training.engine.logs import METRICS_FILE
from training.engine.metrics import move, predict_batch
from training.engine.precision import PRECISIONS, set_precision
from training.evaluate import load_average
from training.pretrain import load_run_config, pretrain, validation_index

logger = logging.getLogger(__name__)

EXACT = "fp64"
"""What the others are compared with."""
FOLDER = "precision"
"""Of the short runs, inside the run folder; removed afterwards."""
WANT = ("energy", "forces")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One precision, as its process saw it."""

    losses: list[float]
    """Of each of the first steps."""
    step_seconds: float
    """Median of the training steps but the first two."""
    predict_seconds: float
    """Energies and forces of all held-out structures, the second time."""
    peak_memory_MiB: float
    """Of the process (CPU) or the device."""
    energies: NDArray[np.float64]
    """Per atom [S] eV, of the final weights on held-out structures."""
    forces: NDArray[np.float64]
    """[N, 3] eV/Å, of the same."""


@dataclass(frozen=True, kw_only=True)
class PrecisionRow:
    """One precision beside `EXACT`."""

    last_loss: float
    """Of the last of the first steps."""
    largest_loss_deviation: float
    """Relative, of any of the first steps."""
    energy_mae_meV_per_atom: float
    """Mean |difference of the energy per atom|, meV."""
    forces_mae_meV_per_angstrom: float
    """Mean |difference of a force component|, meV/Å."""
    forces_largest_meV_per_angstrom: float
    """Largest |difference of a force component|, meV/Å."""
    step_seconds: float
    """Of one training step."""
    predict_seconds: float
    """Of energies and forces of the held-out structures."""
    peak_memory_MiB: float
    """While training and evaluating."""
    losses: list[float]
    """Of the first steps."""


def precision_table(run: Path, n_steps: int = 30, limit: int = 50) -> dict[str, PrecisionRow]:
    """Measure all precisions on a run; leaves `precision.json` and `precision.md` in its folder.

    Args:
        run: a run folder.
        n_steps: training steps of each precision.
        limit: held-out structures of each head.
    """
    measured: dict[str, Measured] = {}
    for name in (EXACT, *(name for name in PRECISIONS if name != EXACT)):
        logger.info("measuring %s: %d steps, then held-out structures", name, n_steps)
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            measured[name] = process.submit(_measure, run, name, n_steps, limit).result()
    shutil.rmtree(run / FOLDER, ignore_errors=True)
    exact = measured[EXACT]
    rows = {name: _row(found, exact) for name, found in measured.items()}
    facts = _facts(run, n_steps, len(exact.energies), len(exact.forces))
    content = {"facts": facts, "rows": {name: asdict(row) for name, row in rows.items()}}
    (run / "precision.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (run / "precision.md").write_text(table_of_precisions(rows, facts) + "\n", encoding="utf-8")
    return rows


def table_of_precisions(rows: dict[str, PrecisionRow], facts: dict[str, str]) -> str:
    """Markdown: what was measured, then one line per precision."""
    lines = [f"{key}: {value}  " for key, value in facts.items()]
    columns = (
        "precision",
        f"energy against {EXACT}, meV/atom",
        "forces, meV/Å",
        "largest force difference, meV/Å",
        "loss after the steps",
        "largest loss deviation",
        "step, ms",
        "prediction, s",
        "memory, MiB",
    )
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [
        f"| {name} | {row.energy_mae_meV_per_atom:.2g} | {row.forces_mae_meV_per_angstrom:.2g} "
        f"| {row.forces_largest_meV_per_angstrom:.2g} | {row.last_loss:.6g} "
        f"| {row.largest_loss_deviation:.1e} | {1e3 * row.step_seconds:.0f} "
        f"| {row.predict_seconds:.2f} | {row.peak_memory_MiB:.0f} |"
        for name, row in rows.items()
    ]
    return "\n".join(lines)


def _measure(run: Path, precision: str, n_steps: int, limit: int) -> Measured:
    """Train and evaluate in one precision; in a process of its own."""
    config = load_run_config(run)
    losses, seconds = _first_steps(config, run, precision, n_steps)
    model = load_average(run, config.kernel).to(torch.device(config.device))
    set_precision(model, PRECISIONS[precision])
    data = assemble(config.heads, replace(config.data, files_of_run=run), model.cutoff)
    index = validation_index(data, limit)
    batches = FixedLoader(data.assembler, index, config.batch)
    _predict(model, batches, precision)  # compiles and warms up
    started = time.perf_counter()
    energies, forces = _predict(model, batches, precision)
    return Measured(
        losses=losses,
        step_seconds=float(np.median(seconds[2:] or seconds)),
        predict_seconds=time.perf_counter() - started,
        peak_memory_MiB=_peak_memory(config.device),
        energies=energies,
        forces=forces,
    )


def _first_steps(
    config: PretrainConfig, run: Path, precision: str, n_steps: int
) -> tuple[list[float], list[float]]:
    """Losses and seconds of the first steps of a run, made anew with the files that it has read."""
    folder = run / FOLDER / precision
    shutil.rmtree(folder, ignore_errors=True)
    fit = replace(
        config.fit,
        duration=DurationConfig(max_steps=n_steps),
        precision=cast(Literal["fp64", "fp32", "bf16"], precision),
        log_every_steps=1,
        validate_every_steps=n_steps + 1,
        validate_structures_per_head=1,
        checkpoint_every_steps=n_steps + 1,
        tensorboard=False,
    )
    batches = config.parallel.batches_per_step
    parallel = ParallelConfig(batches_per_step=batches, head_groups=config.parallel.head_groups)
    data = replace(config.data, files_of_run=run, store_width=None)
    pretrain(replace(config, output=folder, fit=fit, parallel=parallel, data=data))
    lines = map(json.loads, (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines())
    steps = [line for line in lines if line["kind"] == "step"]
    return [step["loss"] for step in steps], [step["step_seconds"] for step in steps]


def _predict(
    model: FoundationModel, batches: FixedLoader, precision: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies per atom [S] eV and forces [N, 3] eV/Å of all structures."""
    energies, forces = [], []
    device, dtype = next(model.parameters()).device, PRECISIONS[precision].weights
    for batch in batches:
        moved = move(batch, device, dtype)
        prediction = predict_batch(model, moved, WANT, differentiable=False)
        assert prediction.forces is not None
        energies.append((prediction.energy / moved.graph.n_atoms).double().cpu().numpy())
        forces.append(prediction.forces.double().cpu().numpy())
    return np.concatenate(energies), np.concatenate(forces)


def _peak_memory(device: str) -> float:
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def _row(found: Measured, exact: Measured) -> PrecisionRow:
    deviations = [
        abs(one - other) / abs(other) for one, other in zip(found.losses, exact.losses, strict=True)
    ]
    force_differences = np.abs(found.forces - exact.forces)
    return PrecisionRow(
        last_loss=found.losses[-1],
        largest_loss_deviation=max(deviations),
        energy_mae_meV_per_atom=1e3 * float(np.abs(found.energies - exact.energies).mean()),
        forces_mae_meV_per_angstrom=1e3 * float(force_differences.mean()),
        forces_largest_meV_per_angstrom=1e3 * float(force_differences.max()),
        step_seconds=found.step_seconds,
        predict_seconds=found.predict_seconds,
        peak_memory_MiB=found.peak_memory_MiB,
        losses=found.losses,
    )


def _facts(run: Path, n_steps: int, n_structures: int, n_atoms: int) -> dict[str, str]:
    config = load_run_config(run)
    return {
        "measured by": f"`python -m training evaluate {run} --precision-table`",
        "run": f"heads {', '.join(config.heads)}; kernel {config.kernel}, device {config.device}, "
        f"{config.threads} threads, torch {torch.__version__}, {platform.machine()}",
        "loss": f"the first {n_steps} training steps from the same weights and batches",
        "differences": f"{n_structures} held-out structures with {n_atoms} atoms, final weights",
    }
