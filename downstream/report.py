"""A run as Markdown and as one HTML page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from atomfm_calc.periodic_table import ELEMENTS_STYLE
from atomfm_calc.web_page import html_table, web_page
from downstream import plots
from downstream.periodic_table import element_map
from downstream.summary import Result, best_cell, structures_of, summarize

MARKDOWN_FILE, HTML_FILE = "report.md", "report.html"
MOST_COLUMNS = 8
MAIN_METRICS = (" MAE, ", " ROC-AUC")
Table = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""Header and rows."""
CSS = """body{font:15px/1.45 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;border-bottom:1px solid #ddd;
text-align:left}.number{text-align:right}.figures{display:flex;flex-wrap:wrap;gap:1em}
.wide{overflow-x:auto}"""


def write_report(output: Path) -> Result:
    """Collect the cells of a run folder and write `result.json`, `report.md`, `report.html`."""
    summary = summarize(output)
    (output / MARKDOWN_FILE).write_text(markdown(summary), encoding="utf-8")
    (output / HTML_FILE).write_text(html(summary), encoding="utf-8")
    return summary


def markdown(summary: Result) -> str:
    """Tables and words."""
    parts = [f"# {summary['title']}", *facts(summary)]
    for title, table in tables(summary):
        parts += [f"## {title}", markdown_table(table)]
    return "\n\n".join(parts) + "\n"


def html(summary: Result) -> str:
    """Tables, words and figures."""
    parts = [f"<h1>{escape(summary['title'])}</h1>"]
    parts += [f"<p>{escape(fact)}</p>" for fact in facts(summary)]
    named = dict(tables(summary))
    parts += _section("Errors on held-out structures", named)
    metric = summary["primary"]
    best, table = best_cell(summary), summary["table"]
    figures = []
    if len(table) > 1:  # one point is no curve
        figures.append(plots.learning_curves(table, metric, summary["lower_is_better"]))
    figures += [plots.parity(panel, name) for name, panel in best["parity"].items()]
    if "calibration" in best:
        figures.append(plots.calibration(best["calibration"]["bins"]))
    parts += [f"<div class=figures>{''.join(figures)}</div>", f"<p>{escape(_shown(best))}</p>"]
    parts += ["<h2>Errors per element</h2>", element_map(best["per_element"])]
    parts += [f"<p>{escape(_element_words(summary))}</p>"]
    for title in list(named)[1:]:
        parts += _section(title, named)
    return web_page(summary["recipe"], "\n".join(parts), CSS + ELEMENTS_STYLE)


def facts(summary: Result) -> Iterator[str]:
    """Paragraphs that say what was done."""
    source = summary["source"]
    yield f"Data: {summary['data']}."
    yield (
        f"Source of the recipe: {source['theory']} ({source['code']}), {source['doi']}, "
        f"{source['address']}; licence: {source['licence']}. The field compares by: "
        f"{source['metric']}."
    )
    yield (
        f"Pretrained model: {summary['pretrained']}, weights SHA-256 "
        f"{summary['pretrained_sha256']}. scratch: the same architecture with fresh weights; "
        "frozen: new heads on frozen features; full: all weights; lora: low-rank additions, "
        "merged. Means ± sample deviations over seeds and folds."
    )
    counts = summary["cells"][-1]["n_structures"]
    versions = ", ".join(f"{name} {number}" for name, number in summary["versions"].items())
    yield (
        f"Trainings: {len(summary['cells'])}, in {summary['seconds']:.0f} s; {counts['test']} test "
        f"structures in each. {versions}."
    )
    absent = sorted({name for cell in summary["cells"] for name in cell["absent_elements"]})
    if absent:
        yield (
            "Elements that the training structures of one cell or more lack, so that nothing new "
            f"was learned of them there: {', '.join(absent)}."
        )


def tables(summary: Result) -> Iterator[tuple[str, Table]]:
    """Title and content of every table; the first is the comparison."""
    yield "Errors on held-out structures", comparison(summary["table"], summary["primary"])
    if summary["forgetting"]:
        title = "Forgetting: validation errors of the pretrained heads, before → after"
        yield title, forgetting(summary["forgetting"])
    if summary["source"]["published"]:
        yield "Published figures (public data, full training sets)", published(summary["source"])
    yield "Time and size", costs(summary["table"])


def comparison(table: Sequence[Mapping[str, Any]], primary: str) -> Table:
    """Rows are sizes and modes, columns metrics, the primary one first.

    Of many targets, only the main metric of each; `result.json` has all.
    """
    names = list(dict.fromkeys(name for row in table for name in row["metrics"]))
    names.sort(key=lambda name: name != primary)
    if len(names) > MOST_COLUMNS:
        names = [name for name in names if any(word in name for word in MAIN_METRICS)]
    header = ("structures", "mode", *names)
    rows = [
        (
            str(row["structures"]),
            row["mode"],
            *(mean_and_deviation(row["metrics"].get(name)) for name in names),
        )
        for row in table
    ]
    return header, rows


def forgetting(matrix: Mapping[str, Mapping[str, Any]]) -> Table:
    """Rows are pretrained heads, columns modes."""
    modes = list(matrix)
    heads = list(dict.fromkeys(head for mode in modes for head in matrix[mode]))
    header = ("head", *(f"{mode}: {what}" for mode in modes for what in ("errors", "change")))
    rows = []
    for head in heads:
        cells = [head]
        for mode in modes:
            entry = matrix[mode].get(head)
            cells += ["–", "–"] if entry is None else [_pair(entry), f"{entry['change']:+.1%}"]
        rows.append(tuple(cells))
    return header, rows


def published(source: Mapping[str, Any]) -> Table:
    """Leaderboard figures."""
    header = ("model", "value", "metric", "target", "source")
    rows = [
        (f["model"], f"{f['value']:g}", f["metric"], f["target"] or "–", f["source"])
        for f in source["published"]
    ]
    return header, rows


def costs(table: Sequence[Mapping[str, Any]]) -> Table:
    """Trained parameters and seconds."""
    header = ("structures", "mode", "trainings", "trained parameters", "seconds each")
    rows = [
        (
            str(row["structures"]),
            row["mode"],
            str(row["n"]),
            f"{row['trained_parameters']:,}",
            f"{row['seconds']:.1f}",
        )
        for row in table
    ]
    return header, rows


def mean_and_deviation(value: Mapping[str, float | None] | None) -> str:
    """As 0.206 ± 0.012: the deviation with two digits, the mean with as many places."""
    if value is None or value["mean"] is None:
        return "–"
    mean, deviation = value["mean"], value["deviation"]
    if not deviation:
        return f"{mean:.4g}" if deviation is None else f"{mean:.4g} ± 0"
    places = max(0, 1 - math.floor(math.log10(deviation)))
    return f"{mean:.{places}f} ± {deviation:.{places}f}"


def markdown_table(table: Table) -> str:
    """A table of GitHub's Markdown."""
    header, rows = table
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _section(title: str, named: Mapping[str, Table]) -> list[str]:
    return [f"<h2>{escape(title)}</h2>", html_table(*named[title])]


def _pair(entry: Mapping[str, Any]) -> str:
    """Energy in meV/atom and forces in meV/Å, before → after."""
    parts = []
    for key, unit in (
        ("energy_mae_meV_per_atom", "meV/atom"),
        ("forces_mae_meV_per_angstrom", "meV/Å"),
    ):
        before, after = entry["before"][key], entry["after"][key]
        if before is not None and after is not None:
            parts.append(f"{before:.1f} → {after:.1f} {unit}")
    return ", ".join(parts)


def _element_words(summary: Result) -> str:
    lower = summary["lower_is_better"]
    error = summary["primary"] if lower else "1 - probability of the right class"
    return (
        f"Below each element: {error}, and the number of test structures (of force errors: atoms) "
        "with it; the darker, the larger."
    )


def _shown(cell: Result) -> str:
    own = cell["cell"]
    return (
        f"Parity and errors per element: {own['mode']}, {structures_of(cell)} structures, "
        f"{own['fold']}, "
        f"seed {own['seed']}; at most 1000 points."
    )
