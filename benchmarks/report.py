"""Tables in Markdown and a plot from the figures that `bench.py` keeps; missing ones say why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from cases import CASES, GROUPS

MISSING = "–"
LARGEST_SHARE = 0.15
"""Of a step of dynamics, for neighbor lists; what the project wants to stay below."""
Content = Mapping[str, Any]


def figure(found: Mapping[str, Any], group: str) -> float:
    """What stands in the table of a group, in its unit, from the median wall time."""
    if group == "memory":
        return float(found["peak_MB"])
    seconds = found["wall_seconds"][1]
    return 1e3 * seconds if GROUPS[group][1] == "ms" else 1.0 / seconds


def advantage(own: float, other: float, group: str) -> float:
    """How many times better ours is: faster, or with less memory."""
    return own / other if GROUPS[group][1].endswith("/s") else other / max(own, 1e-9)


def cell(programs: Content, name: str, group: str) -> str:
    """The figure, and how many times better ours is."""
    found = programs.get(name)
    if found is None:
        return MISSING
    if "error" in found:
        return f"no: {found['error'].replace('|', '/')[:60]}"
    value = figure(found, group)
    text = f"{value:.3g}" if value < 100 else f"{value:.0f}"
    own = programs.get("atomfm", {"error": ""})
    if name == "atomfm" or "error" in own:
        return text
    return f"{text} ({advantage(figure(own, group), value, group):.1f}×)"


def tables(content: Content) -> str:
    """A table for each group of cases."""
    parts = []
    for group, (title, unit) in GROUPS.items():
        names = [n for n, c in CASES.items() if c.group == group and n in content["cases"]]
        measured = [content["cases"][name]["programs"] for name in names]
        columns = [name for name in content["programs"] if any(name in row for row in measured)]
        if not names:
            continue
        lines = [
            f"{title}, {unit}:\n",
            f"| | {' | '.join(columns)} |",
            f"|---|{'---|' * len(columns)}",
        ]
        for name, programs in zip(names, measured, strict=True):
            cells = [cell(programs, column, group) for column in columns]
            lines.append(f"| {CASES[name].title} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
        shares = [
            f"{CASES[name].title}: {100 * programs['atomfm']['neighbor_share']:.1f} %"
            for name, programs in zip(names, measured, strict=True)
            if "neighbor_share" in programs.get("atomfm", {})
        ]
        if shares:
            parts.append(
                f"Share of the neighbor list in a step of atomfm ({'; '.join(shares)}); wanted: "
                f"at most {100 * LARGEST_SHARE:.0f} %."
            )
    return "\n\n".join(parts)


def programs_table(content: Content) -> str:
    """Who took part, with which versions; who is absent, and why."""
    lines = ["| program | what | versions |", "|---|---|---|"]
    for name, facts in content["programs"].items():
        versions = ", ".join(f"{k} {v}" for k, v in facts.get("versions", {}).items())
        reason = f"absent: {facts['absent'][:120]}" if "absent" in facts else versions
        lines.append(f"| {name} | {facts['about']} | {reason} |")
    return "\n".join(lines)


def hydragnn_table(path: Path) -> str:
    """The training steps that `training_step.py` measured; nothing if there are none."""
    if not path.exists():
        return ""
    content = json.loads(path.read_text(encoding="utf-8"))
    sizes = content["mean_of_a_batch"]
    lines = [
        f"Optimizer step on {sizes['structures']:.0f} crystals, {sizes['atoms']:.0f} atoms, "
        f"{sizes['edges']:.0f} edges, F = {content['settings']['features']} "
        f"({content['settings']['threads']} threads; HydraGNN: {content['hydragnn']['status']}), "
        "ms:\n",
        "| program | layers | precision | recompute | median | least |",
        "|---|---|---|---|---|---|",
    ]
    for row in content["rows"]:
        spent = row["seconds_per_step"]
        lines.append(
            f"| {row['program']} {row['kernel']} | {row['layers']} | {row['precision']} | "
            f"{'yes' if row['recompute'] else 'no'} | {1e3 * spent['wall_median']:.0f} | "
            f"{1e3 * spent['wall_least']:.0f} |"
        )
    return "\n".join(lines)


def _sizes(content: Content, group: str, name: str) -> list[tuple[int, float]]:
    found = []
    for case in (case for case in content["cases"] if CASES[case].group == group):
        result = content["cases"][case]["programs"].get(name, {"error": "not measured"})
        if "error" not in result:
            found.append((int(case.rpartition("-")[2]), figure(result, group)))
    return sorted(found)


def draw(content: Content, path: Path) -> None:
    """Latency and memory against atoms, and steps of dynamics per second."""
    panels, axes = plt.subplots(1, 3, figsize=(13.0, 4.0), layout="constrained")
    dynamics = [name for name in content["cases"] if CASES[name].group == "dynamics"]
    for index, name in enumerate(content["programs"]):
        color = f"C{index}"
        for axis, group in zip(axes, ("latency", "memory"), strict=False):
            points = _sizes(content, group, name)
            if points:
                axis.loglog(*zip(*points, strict=True), "o-", color=color, label=name)
        for place, case in enumerate(dynamics):
            found = content["cases"][case]["programs"].get(name, {"error": ""})
            if "error" not in found:
                left = place + 0.12 * (index - 2.5)
                label = name if place == 0 else None
                axes[2].bar(left, figure(found, "dynamics"), 0.11, color=color, label=label)
    for axis, group in zip(axes, ("latency", "memory", "dynamics"), strict=True):
        axis.set_title(GROUPS[group][0].partition(",")[0], fontsize="medium")
        axis.set_ylabel(GROUPS[group][1])
        axis.set_xlabel("atoms")
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize="small")
    axes[2].set_xlabel("")
    axes[2].set_xticks(range(len(dynamics)), [CASES[name].title for name in dynamics])
    panels.savefig(path, dpi=110)
    plt.close(panels)


def write_report(path: Path) -> str:
    """Write PATH.md and PATH.png beside the figures; returns the former's text."""
    content = json.loads(path.read_text(encoding="utf-8"))
    machine = content["machine"]
    used = list(content["cases"].values())
    threads = ", ".join(sorted({str(case["threads"]) for case in used}))
    devices = ", ".join(sorted({case["device"] for case in used}))
    text = "\n\n".join(
        part
        for part in (
            f"Machine: {machine['processor']}, {machine['cores']} cores, accelerator: "
            f"{machine['accelerator']}; {threads} threads, {devices}. Medians of interleaved "
            "repetitions; in brackets how many times faster (or smaller) atomfm is. "
            f"{MISSING}: not asked.",
            tables(content),
            hydragnn_table(path.with_name("hydragnn.json")),
            programs_table(content),
        )
        if part
    )
    path.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    draw(content, path.with_suffix(".png"))
    return text
