"""One HTML page about a screening, finished or not; it needs nothing but a browser."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np

from atomfm_calc.config import load_config
from atomfm_calc.errors import DataError
from atomfm_calc.files import write_at_once
from atomfm_calc.screening.campaign import Campaign
from atomfm_calc.screening.drawing import (
    histogram_svg,
    line_svg,
    periodic_table_svg,
    structure_svg,
)
from atomfm_calc.screening.drive import CAMPAIGN_FILE, MANIFEST_FILE
from atomfm_calc.screening.manifest import StageFolder
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.selection import SELECTED_FILE
from atomfm_calc.screening.sinks import SINKS
from atomfm_calc.screening.structures import REASONS
from atomfm_calc.screening.tallies import StageTally, tally
from atomfm_calc.web_page import html_table, web_page

POINTS = 60
"""Of the line of throughput."""
STYLE = (
    "body{font:14px sans-serif;max-width:1150px;margin:2em auto;color:#222}svg text{font-size:12px}"
    "td,th{padding:2px 12px 2px 0;text-align:left}figure{display:inline-block;margin:6px}"
    "figcaption{font-size:12px;text-align:center}"
)


def write_report(folder: Path, path: Path, n_structures: int = 12) -> Path:
    """Write the page of a folder of results.

    Args:
        folder: of a campaign.
        path: of the page.
        n_structures: to draw, of what each stage kept.

    Raises:
        DataError: the folder holds no campaign.
    """
    if not (folder / CAMPAIGN_FILE).is_file():
        raise DataError(f"{folder} holds no screening: it has no {CAMPAIGN_FILE}")
    campaign = load_config(Campaign, folder / CAMPAIGN_FILE)
    facts = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    sections = [
        f"<h1>Screening with {html.escape(facts['model'])}</h1>",
        f"<p>{facts['n_candidates']:,} candidates of kind {campaign.candidates.kind}, "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC</p>",
    ]
    sink = SINKS[campaign.sink]()
    for stage in campaign.stages:
        place = StageFolder(folder / stage.name, sink.suffix)
        if place.journal.is_dir():
            sections.append(_section(tally(stage.name, place, sink)))
            sections.append(_structures(place.path / SELECTED_FILE, n_structures))
        else:
            sections.append(f"<h2>{html.escape(stage.name)}</h2><p>not begun</p>")
    page = web_page("Screening", "".join(sections), STYLE)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_at_once(page.encode(), path)
    return path


def _section(counts: StageTally) -> str:
    lost = sum(counts.reasons.values())
    parts = [
        f"<h2>{html.escape(counts.name)}</h2>",
        f"<p>{counts.n_rows:,} structures with results, {lost:,} quarantined</p>",
        _throughput(counts),
        *(histogram_svg(name, histogram) for name, histogram in counts.histograms.items()),
    ]
    present = counts.element_counts > 0
    if present.any():
        number = np.where(present, counts.element_counts.astype(float), np.nan)
        mean = np.where(
            present, counts.element_energy / np.maximum(counts.element_counts, 1), np.nan
        )
        parts.append("<h3>Elements</h3>")
        parts.append(periodic_table_svg(number, "structures that contain the element"))
        parts.append(periodic_table_svg(mean, "their mean energy above references, eV/atom"))
    if lost:
        rows = [
            (reason, f"{count:,}", REASONS.get(reason, ""), counts.examples[reason])
            for reason, count in counts.reasons.most_common()
        ]
        header = ("reason", "candidates", "meaning", "for example")
        parts += ["<h3>Quarantine</h3>", html_table(header, rows)]
    return "".join(parts)


def _throughput(counts: StageTally) -> str:
    """Structures per second over time, of all ranks, and the share of each."""
    if len(counts.finished) < 2:
        return ""
    times, sizes, ranks = (np.array(column) for column in zip(*counts.finished, strict=True))
    edges = np.linspace(times[0], times[-1], min(POINTS, len(times)) + 1)
    width = max(edges[1] - edges[0], 1e-9)
    rate = np.histogram(times[1:], edges, weights=sizes[1:])[0] / width
    hours = (times[-1] - times[0]) / 3600
    centers = (0.5 * (edges[:-1] + edges[1:])).tolist()
    line = line_svg("structures/s over time", centers, rate.tolist(), "0 h", f"{hours:.2f} h")
    shares = np.bincount(ranks.astype(int), weights=sizes)
    if len(shares) < 2:
        return line
    return line + line_svg(
        "candidates per rank", range(len(shares)), shares.tolist(), "rank 0", f"{len(shares) - 1}"
    )


def _structures(path: Path, n_structures: int) -> str:
    if not path.is_file():
        return ""
    source = FileSource([path.as_posix()])
    figures = [
        f"<figure>{structure_svg(atoms)}<figcaption>{place}. "
        f"{html.escape(atoms.get_chemical_formula())}<br/>{html.escape(name)}</figcaption></figure>"
        for place, (name, atoms) in enumerate(islice(source.structures(), n_structures), 1)
    ]
    return f"<h3>Kept: {source.n_candidates:,}, the best first</h3>{''.join(figures)}"
