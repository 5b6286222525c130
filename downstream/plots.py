"""Figures of a report as SVG text, drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

COLORS = {
    "scratch": "#888888", "frozen": "#1f77b4", "last-1": "#17becf", "last-2": "#9467bd",
    "full": "#d62728", "lora": "#2ca02c",
}  # fmt: skip
SIZE = (4.2, 3.4)
"""Inches of a panel."""
MANY_POINTS = 100
"""Of a parity plot; more are drawn smaller."""


def learning_curves(table: Sequence[Mapping[str, Any]], metric: str, lower_is_better: bool) -> str:
    """A metric against the number of training structures, one line per mode."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    for mode in dict.fromkeys(row["mode"] for row in table):
        own = [row for row in table if row["mode"] == mode and metric in row["metrics"]]
        sizes = [row["structures"] for row in own]
        means = [row["metrics"][metric]["mean"] for row in own]
        spread = [row["metrics"][metric]["deviation"] or 0.0 for row in own]
        axes.errorbar(sizes, means, spread, fmt="o-", capsize=3, color=COLORS[mode], label=mode)
    axes.set_xscale("log")
    shown = sorted({row["structures"] for row in table})
    axes.set_xticks(shown, [str(size) for size in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    if lower_is_better:
        axes.set_yscale("log")
        for show in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            show(FuncFormatter(lambda value, place: f"{value:.3g}"))
    axes.set_xlabel("training structures")
    axes.set_ylabel(metric)
    axes.legend(frameon=False)
    return _svg(figure)


def parity(panel: Mapping[str, Any], title: str) -> str:
    """Predicted against true values."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    label, predicted = panel["label"], panel["predicted"]
    size = 3 if len(label) > MANY_POINTS else 7
    axes.plot(label, predicted, ".", markersize=size, alpha=0.5, rasterized=True)
    ends = [min([*label, *predicted]), max([*label, *predicted])]
    axes.plot(ends, ends, color="black", linewidth=0.8)
    axes.set_xlabel(f"{title}, label ({panel['unit']})")
    axes.set_ylabel(f"predicted ({panel['unit']})")
    return _svg(figure)


def calibration(bins: Sequence[Sequence[float]]) -> str:
    """How often the said class is right, against how sure the model was."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.plot([0.0, 1.0], [0.0, 1.0], color="black", linewidth=0.8)
    confidence, right, number = zip(*bins, strict=True)
    largest = max(number)
    axes.scatter(confidence, right, [20.0 + 180.0 * n / largest for n in number], alpha=0.7)
    axes.set_xlabel("mean probability of the said class")
    axes.set_ylabel("part that is right")
    return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
