"""A scaling study: measure here, fit, extend to machines, write the report."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean

from atomfm_calc.config import load_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.models.foundation import FoundationModel
from training.config import PretrainConfig
from training.scaling.machine import Machine
from training.scaling.measure import (
    MeasuredSteps,
    copy_bandwidth,
    measure,
    variance_per_structure,
)
from training.scaling.model import (
    TRAFFIC,
    Assumptions,
    ModeledStep,
    ScalingModel,
    Workload,
    device_factor,
    fit_compute,
)
from training.scaling.report import report_text

logger = logging.getLogger(__name__)

GRADIENT_BYTES = {"fp64": 8, "fp32": 4, "bf16": 4}
"""Of one weight; bf16 keeps weights and gradients in float32."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Modelled steps on one machine with one strategy."""

    machine: str
    """Name."""
    strategy: str
    """Key of `TRAFFIC`."""
    ranks_per_node: int
    """Of the machine."""
    factor: float
    """Speed of a device relative to the measured one."""
    weak: list[ModeledStep]
    """The same batch on every rank."""
    strong: list[ModeledStep]
    """The same batch on all ranks together."""
    weak_fast: list[ModeledStep]
    """As `weak`, with the fixed time per batch divided by the factor as well."""
    strong_fast: list[ModeledStep]
    """As `strong`, likewise."""


@dataclass(frozen=True, kw_only=True)
class ScalingStudy:
    """All that a report says."""

    config: str
    """Path of the configuration."""
    device: str
    """Of the measurement."""
    copy_GB_per_s: float
    """Measured memory bandwidth of that device."""
    weak: list[MeasuredSteps]
    """One batch per rank."""
    strong: list[MeasuredSteps]
    """The same number of batches on any number of ranks."""
    workload: Workload
    """Fitted to the run on one rank."""
    assumed: Assumptions
    """Of the model."""
    machines: list[Machine]
    """Extended to."""
    curves: list[Curves]
    """By machine and strategy."""
    factor_is_given: bool
    """Whether the speed of the devices was given and not estimated."""


def workload_of(
    steps: MeasuredSteps, parameters: dict[str, int], n_heads: int, precision: str
) -> Workload:
    """What one rank does, from steps of one rank with one batch each.

    Args:
        steps: as measured.
        parameters: number of weights of the "backbone" and of all "heads".
        n_heads: number of heads.
        precision: key of `GRADIENT_BYTES`.
    """
    atoms = [float(value) for value in steps.sizes["atoms"]]
    fixed, per_atom = fit_compute(atoms, steps.compute)
    each = GRADIENT_BYTES[precision]
    return Workload(
        fixed_seconds=fixed,
        seconds_per_atom=per_atom,
        backward_fraction=fmean(steps.seconds["backward"]) / fmean(steps.compute),
        structures_per_rank=fmean(steps.sizes["structures"]),
        atoms_per_structure=sum(atoms) / sum(steps.sizes["structures"]),
        edges_per_atom=sum(steps.sizes["edges"]) / sum(atoms),
        atoms_variance_per_structure=variance_per_structure(steps),
        backbone_bytes=each * parameters["backbone"],
        head_bytes=each * parameters["heads"] / n_heads,
        n_heads=n_heads,
    )


def count_parameters(config: PretrainConfig) -> dict[str, int]:
    """Weights of the backbone and of all heads, of the configuration's architecture."""
    counts = {"backbone": 0, "heads": 0}
    model = FoundationModel(config.architecture, config.heads)
    for name, parameter in model.named_parameters():
        counts["heads" if name.startswith("heads.") else "backbone"] += parameter.numel()
    return counts


def curves_of(
    workload: Workload,
    machine: Machine,
    factor: float,
    assumed: Assumptions,
    strategies: Sequence[str],
) -> list[Curves]:
    """Weak and strong scaling on one machine, with the fixed time as measured and shrunk.

    Nobody knows before a measurement on the device how much of the fixed time remains there; with
    less of it there is less to hide communication behind.
    """
    fast = replace(workload, fixed_seconds=workload.fixed_seconds / factor)
    curves = []
    for strategy in strategies:
        models = [
            ScalingModel(
                workload=load,
                machine=machine,
                factor=factor,
                strategy=TRAFFIC[strategy],
                assumed=assumed,
            )
            for load in (workload, fast)
        ]
        curves.append(
            Curves(
                machine=machine.name,
                strategy=strategy,
                ranks_per_node=machine.ranks_per_node,
                factor=factor,
                weak=models[0].weak(),
                strong=models[0].strong(),
                weak_fast=models[1].weak(),
                strong_fast=models[1].strong(),
            )
        )
    return curves


@dataclass(frozen=True, kw_only=True)
class StudyRequest:
    """What to measure and where to extend it to."""

    config: Path
    """Of the training run."""
    ranks: tuple[int, ...]
    """Numbers of processes to measure with; 1 is always among them."""
    machines: tuple[Machine, ...]
    """To extend to."""
    out: Path
    """Folder for the measured runs."""
    steps: int = 30
    """Measured per run."""
    overrides: tuple[str, ...] = ()
    """Of the configuration."""
    factor: float | None = None
    """Speed of the machines' devices relative to this one; None: by memory bandwidth."""
    structures_per_rank: float | None = None
    """Batch of the modelled ranks; None: as measured."""

    def __post_init__(self) -> None:
        if not self.ranks or min(self.ranks) < 1:
            raise ConfigError(f"ranks are {list(self.ranks)}; give numbers of processes from 1")


def run_study(request: StudyRequest) -> ScalingStudy:
    """Measure and extend; TrainingError if a measured run fails."""
    config = load_config(PretrainConfig, request.config, request.overrides)
    strategy = config.parallel.strategy
    if strategy == "single":
        strategy = "ddp"
    ranks = sorted({1, *request.ranks})
    runs = _measure_all(request, ranks, strategy)
    workload = workload_of(
        runs[1, 1], count_parameters(config), len(config.heads), config.fit.precision
    )
    if request.structures_per_rank is not None:
        workload = replace(workload, structures_per_rank=request.structures_per_rank)
    bandwidth = copy_bandwidth(config.device)
    assumed = Assumptions()
    strategies = list(dict.fromkeys(["ddp", "multitask", strategy]))
    curves: list[Curves] = []
    for machine in request.machines:
        factor = device_factor(machine, bandwidth) if request.factor is None else request.factor
        curves += curves_of(workload, machine, factor, assumed, strategies)
    return ScalingStudy(
        config=str(request.config),
        device=config.device,
        copy_GB_per_s=bandwidth,
        weak=[runs[n, n] for n in ranks],
        strong=[runs[n, ranks[-1]] for n in ranks if (n, ranks[-1]) in runs],
        workload=workload,
        assumed=assumed,
        machines=list(request.machines),
        curves=curves,
        factor_is_given=request.factor is not None,
    )


def _measure_all(
    request: StudyRequest, ranks: Sequence[int], strategy: str
) -> dict[tuple[int, int], MeasuredSteps]:
    """By (ranks, batches per step): one batch per rank, and as many as the most ranks have."""
    settings = [*request.overrides, f"parallel.strategy={strategy}"]
    runs = {}
    for n, batches in sorted({(m, total) for m in ranks for total in (m, ranks[-1])}):
        if batches % n == 0:
            logger.info("measuring %d ranks, %d batches per step", n, batches)
            folder = request.out / "runs" / f"{n}-ranks-{batches}-batches"
            runs[n, batches] = measure(request.config, n, batches, request.steps, folder, settings)
    return runs


def write_study(study: ScalingStudy, out: Path) -> list[Path]:
    """Write `scaling.json`, `scaling.md` and, with matplotlib, `scaling.png`."""
    out.mkdir(parents=True, exist_ok=True)
    text, data, plot = out / "scaling.md", out / "scaling.json", out / "scaling.png"
    data.write_text(json.dumps(asdict(study), indent=1), encoding="utf-8")
    text.write_text(report_text(study), encoding="utf-8")
    if find_spec("matplotlib") is None:
        logger.info("no %s: matplotlib is missing; pip install 'atomfm[plots]'", plot.name)
        return [data, text]
    from training.scaling.plot import plot_study

    plot_study(study, plot)
    return [data, text, plot]
