"""Tables in Markdown and a plot from what `imbalance.py` keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

Content = Mapping[str, Any]
ENERGY, FORCES = "energy_mae_meV_per_atom", "forces_mae_meV_per_angstrom"
QUANTITIES = {"energy": ENERGY, "forces": FORCES}
BASELINES = ("own draws", "whole budget")
MISSING = "–"
MARGIN = 0.05
"""Relative; a smaller difference is no gain and no loss."""


def heads_by_size(content: Content) -> list[str]:
    """Most training structures first."""
    facts = content["heads"].values()
    sizes = {head: sum(one[head]["train"] for one in facts) for head in next(iter(facts))}
    return sorted(sizes, key=lambda head: -sizes[head])


def rules_of(content: Content) -> list[str]:
    """In the order of their runs."""
    return list(dict.fromkeys(run["rule"] for run in content["runs"]))


def found(
    content: Content, kind: str, rule: str | None, head: str, quantity: str
) -> dict[int, float]:
    """Seed -> error of a head in runs of a kind; rule None: of any."""
    return {
        run["seed"]: run["test"][head][quantity]
        for run in content["runs"]
        if run["kind"] == kind and rule in (None, run["rule"]) and head in run["test"]
    }


def ratios(content: Content, rule: str, baseline: str, head: str, quantity: str) -> list[float]:
    """Error of the joint run over that of the head alone, of each seed; below 1: the head gains."""
    joint = found(content, "joint", rule, head, quantity)
    alone = found(content, baseline, rule if baseline == "own draws" else None, head, quantity)
    return [joint[seed] / alone[seed] for seed in joint if seed in alone]


def geometric_mean(values: Sequence[float]) -> float:
    """nan of none."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def verdict(values: Sequence[float]) -> str:
    """gains or loses if all seeds say so and by more than `MARGIN`, else open."""
    if len(values) < 2:
        return "one seed" if values else MISSING
    if max(values) < 1.0 - MARGIN:
        return "gains"
    return "loses" if min(values) > 1.0 + MARGIN else "open"


def markdown(content: Content) -> str:
    """Sizes and draws, errors, gains."""
    n_seeds = len(content["heads"])
    lines = [
        f"{content['joint samples']:,} structures drawn in each joint run; {n_seeds} seeds, each "
        "with a division, weights and draws of its own.",
        "",
        *_sizes(content),
        "",
        "Errors on the test split, energy in meV/atom / forces in meV/Å, geometric mean over "
        "the seeds that are done:",
        "",
        *_errors(content),
        "",
        "Error of the joint run over that of the head alone (below 1: the head gains from the "
        "others), geometric mean and range over seeds:",
        "",
        *_gains(content),
    ]
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _sizes(content: Content) -> list[str]:
    rules = rules_of(content)
    rows = []
    for head in heads_by_size(content):
        facts = [one[head] for one in content["heads"].values()]
        train = sum(one["train"] for one in facts) / len(facts)
        row = [
            head,
            _range([one["train"] for one in facts]),
            _range([one["test"] for one in facts]),
        ]
        for rule in rules:
            runs = [r for r in content["runs"] if r["kind"] == "joint" and r["rule"] == rule]
            drawn = sum(run["drawn"][head] for run in runs) / len(runs)
            row.append(f"{drawn:,.0f} ({drawn / train:.2g})")
        rows.append(row)
    return _table(["head", "train", "test", *(f"drawn, {r} (passes)" for r in rules)], rows)


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}"


def _errors(content: Content) -> list[str]:
    rules = rules_of(content)
    columns = [("own draws", rule) for rule in rules] + [("whole budget", None)]
    columns += [("joint", rule) for rule in rules]
    header = ["head", "references"]
    header += [kind if rule is None else f"{kind}, {rule}" for kind, rule in columns]
    rows = []
    for head in heads_by_size(content):
        known = [one[head] for one in content["references"].values()]
        row = [head, _pair([[one[name] for one in known] for name in QUANTITIES.values()])]
        for kind, rule in columns:
            values = [
                found(content, kind, rule, head, name).values() for name in QUANTITIES.values()
            ]
            row.append(_pair([list(one) for one in values]))
        rows.append(row)
    return _table(header, rows)


def _pair(values: Sequence[Sequence[float]]) -> str:
    if not all(values):
        return MISSING
    return " / ".join(f"{geometric_mean(one):.3g}" for one in values)


def _gains(content: Content) -> list[str]:
    header = ["head", "against", *(f"{q}, {r}" for r in rules_of(content) for q in QUANTITIES)]
    rows = []
    for head in heads_by_size(content):
        for baseline in BASELINES:
            row = [head, f"alone, {baseline}"]
            for rule in rules_of(content):
                for quantity in QUANTITIES.values():
                    values = ratios(content, rule, baseline, head, quantity)
                    row.append(_spread(values))
            if set(row[2:]) != {MISSING}:
                rows.append(row)
    return _table(header, rows)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return MISSING
    ends = f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else ""
    return f"{geometric_mean(values):.2f}{ends} {verdict(values)}"


def draw(content: Content) -> Figure:
    """Joint over alone of each head, seed and rule: a row per baseline, a column per quantity."""
    heads, rules = heads_by_size(content), rules_of(content)
    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    panels = figure.subplots(len(BASELINES), len(QUANTITIES), sharex=True)
    for baseline, row in zip(BASELINES, panels, strict=True):
        for (name, quantity), axes in zip(QUANTITIES.items(), row, strict=True):
            for number, rule in enumerate(rules):
                offset = 0.22 * (number - (len(rules) - 1) / 2)
                for place, head in enumerate(heads):
                    values = ratios(content, rule, baseline, head, quantity)
                    axes.plot([place + offset] * len(values), values, "o", color=f"C{number}")
                axes.plot([], [], "o", color=f"C{number}", label=f"joint, {rule}")
            axes.axhline(1.0, color="black", linewidth=0.8)
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:.2g}")
            axes.yaxis.set_minor_formatter("{x:.2g}")
            axes.tick_params(axis="y", which="both", labelsize=8)
            axes.set_ylabel(f"{name}: joint / alone")
            axes.set_title(f"against the head alone, {baseline}", fontsize=10)
            axes.grid(axis="y", which="both", alpha=0.2)
            axes.set_xticks(range(len(heads)), heads, rotation=20, ha="right", fontsize=8)
    panels[0][0].legend(fontsize=8)
    figure.suptitle("Below 1, a head gains from the others; one point per seed")
    return figure
