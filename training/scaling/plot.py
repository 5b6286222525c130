"""The picture of a scaling study; needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from training.scaling.model import speedup, weak_efficiency

if TYPE_CHECKING:
    from training.scaling.study import ScalingStudy


def plot_study(study: ScalingStudy, path: Path) -> None:
    """Measured parts of a step, modelled weak efficiency, modelled strong speed-up."""
    figure = Figure(figsize=(14, 4.2), layout="constrained")
    measured, weak, strong = figure.subplots(1, 3)
    bottom = [0.0] * len(study.weak)
    for part in study.weak[0].seconds:
        heights = [1e3 * sum(run.seconds[part]) / len(run.seconds[part]) for run in study.weak]
        measured.bar([str(run.ranks) for run in study.weak], heights, bottom=bottom, label=part)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    measured.set(title="MEASURED here, one batch per rank", xlabel="ranks", ylabel="ms per step")
    measured.legend()
    for curves in study.curves:
        label = f"{curves.machine}, {curves.strategy}"
        style = "--" if curves.strategy.startswith("multitask") else "-"
        ranks = [step.ranks for step in curves.weak]
        weak.plot(ranks, weak_efficiency(curves.weak), style, marker=".", label=label)
        if curves.strong:
            ranks = [step.ranks for step in curves.strong]
            strong.plot(ranks, speedup(curves.strong), style, marker=".", label=label)
    weak.set(title="MODELLED weak scaling", xlabel="ranks", ylabel="efficiency", xscale="log")
    weak.set_ylim(0.0, 1.05)
    weak.legend(fontsize="small")
    strong.set(title="MODELLED strong scaling", xlabel="ranks", ylabel="speed-up over one node")
    strong.set_xscale("log")
    figure.savefig(path, dpi=120)
