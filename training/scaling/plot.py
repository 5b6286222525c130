"""The picture of a scaling study; needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from training.scaling.model import ModeledStep, speedup, weak_efficiency

if TYPE_CHECKING:
    from training.scaling.study import ScalingStudy


def plot_study(study: ScalingStudy, path: Path) -> None:
    """Measured parts of a step, modelled weak efficiency, modelled strong speed-up."""
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    measured, weak, strong = figure.subplots(1, 3)
    places = range(len(study.weak))
    bottom = [0.0] * len(study.weak)
    for part in study.weak[0].seconds:
        heights = [1e3 * median(run.seconds[part]) for run in study.weak]
        measured.bar(places, heights, bottom=bottom, label=part)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    measured.set_xticks(places, [str(run.ranks) for run in study.weak])
    measured.set(title="MEASURED here, one batch per rank", xlabel="ranks", ylabel="ms per step")
    measured.legend()
    for curves in study.curves:
        label = f"{curves.machine}, {curves.strategy}"
        style = "--" if curves.strategy.startswith("multitask") else "-"
        _band(weak, curves.weak, curves.weak_fast, weak_efficiency, (style, label))
        if curves.strong:
            _band(strong, curves.strong, curves.strong_fast, speedup, (style, label))
    weak.set(title="MODELLED weak scaling", xlabel="ranks", ylabel="efficiency", xscale="log")
    weak.set_ylim(0.0, 1.05)
    weak.legend(fontsize="small", title="band: fixed time as measured / shrunk")
    strong.set(title="MODELLED strong scaling", xlabel="ranks", ylabel="speed-up over one node")
    strong.set_xscale("log", base=2)
    figure.savefig(path, dpi=120)


def _band(
    axes: Any,
    steps: Sequence[ModeledStep],
    fast: Sequence[ModeledStep],
    compare: Callable[[Sequence[ModeledStep]], list[float]],
    look: tuple[str, str],
) -> None:
    ranks = [step.ranks for step in steps]
    (line,) = axes.plot(ranks, compare(steps), look[0], marker=".", label=look[1])
    axes.fill_between(ranks, compare(steps), compare(fast), color=line.get_color(), alpha=0.15)
