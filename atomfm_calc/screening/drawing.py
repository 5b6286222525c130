"""Pictures of a report as SVG text: bars, a line, the periodic table, atoms in projection."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.data.colors import jmol_colors
from numpy.typing import NDArray

from atomfm_calc.periodic_table import place_of
from atomfm_calc.screening.tallies import Histogram

WIDTH, HEIGHT = 360, 170
MARGIN = 34
BLUE = "#2b6cb0"
VIEW = (0.35, 0.55)
"""Angles in radians about x and y from which structures are seen."""
CELL = 30
"""Pixels of one element in the periodic table."""


def histogram_svg(name: str, histogram: Histogram) -> str:
    """Bars with the range below and the column's name above."""
    most = max(int(histogram.counts.max()), 1)
    width = (WIDTH - 2 * MARGIN) / len(histogram.counts)
    bars = []
    for place, count in enumerate(histogram.counts.tolist()):
        height = (HEIGHT - 2 * MARGIN) * count / most
        x, y = MARGIN + place * width, HEIGHT - MARGIN - height
        bars.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{BLUE}"><title>{count:,}</title></rect>'
        )
    title = f"{html.escape(name)} (beyond: {histogram.outside:,})"
    return _framed("".join(bars), title, f"{histogram.low:.4g}", f"{histogram.high:.4g}")


def line_svg(title: str, x: Sequence[float], y: Sequence[float], left: str, right: str) -> str:
    """A line from zero up; `left` and `right` name the ends of the axis."""
    if len(x) < 2:
        return ""
    places = np.asarray(x, dtype=float)
    values = np.asarray(y, dtype=float)
    span, most = max(places[-1] - places[0], 1e-9), max(float(values.max()), 1e-9)
    points = " ".join(
        f"{MARGIN + (WIDTH - 2 * MARGIN) * (a - places[0]) / span:.1f},"
        f"{HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * b / most:.1f}"
        for a, b in zip(places, values, strict=True)
    )
    line = f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="1.5"/>'
    return _framed(line, f"{html.escape(title)}, up to {most:,.0f}", left, right)


def _framed(content: str, title: str, left: str, right: str) -> str:
    base = HEIGHT - MARGIN
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img">'
        f'<text x="{MARGIN}" y="20">{title}</text>'
        f'<line x1="{MARGIN}" y1="{base}" x2="{WIDTH - MARGIN}" y2="{base}" stroke="#888"/>'
        f'{content}<text x="{MARGIN}" y="{base + 18}">{html.escape(left)}</text>'
        f'<text x="{WIDTH - MARGIN}" y="{base + 18}" text-anchor="end">{html.escape(right)}</text>'
        "</svg>"
    )


def periodic_table_svg(values: NDArray[np.float64], label: str) -> str:
    """Elements shaded by a value [Z]; NaN is left white."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    cells = []
    for number in range(1, min(len(values), 119)):
        row, column = place_of(number)
        value = float(values[number])
        share = (value - low) / (high - low) if high > low else 1.0
        fill = f"hsl(210,70%,{92 - 52 * share:.0f}%)" if np.isfinite(value) else "#fff"
        x, y = (column - 1) * CELL, (row - 1) * CELL
        cells.append(
            f'<rect x="{x}" y="{y}" width="{CELL - 1}" height="{CELL - 1}" fill="{fill}" '
            f'stroke="#ccc"><title>{chemical_symbols[number]}: {value:.4g}</title></rect>'
            f'<text x="{x + CELL / 2}" y="{y + 19}" text-anchor="middle">'
            f"{chemical_symbols[number]}</text>"
        )
    scale = f"{html.escape(label)}: {low:.4g} (light) to {high:.4g} (dark)"
    return (
        f'<svg width="{18 * CELL}" height="{11 * CELL}" role="img">{"".join(cells)}'
        f'<text x="0" y="{10 * CELL + 18}">{scale}</text></svg>'
    )


def structure_svg(atoms: Atoms, size: int = 170) -> str:
    """Atoms as disks and the cell's edges, seen from a little above; the nearest come last."""
    places = atoms.positions @ _view().T
    corners = np.array(np.meshgrid(*[(0, 1)] * 3, indexing="ij")).reshape(3, 8).T
    frame = corners @ atoms.cell.array @ _view().T if atoms.pbc.any() else np.zeros((0, 3))
    everything = np.concatenate([places, frame])
    middle = 0.5 * (everything.min(axis=0) + everything.max(axis=0))
    extent = float(np.abs(everything - middle)[:, :2].max(initial=1.0)) + 1.2
    scale = 0.5 * size / extent

    def spot(place: NDArray[np.float64]) -> tuple[float, float]:
        x, y = (place - middle)[:2] * scale
        return 0.5 * size + float(x), 0.5 * size - float(y)

    parts = [
        _edge(spot(frame[first]), spot(frame[second]))
        for first in range(len(frame))
        for second in range(first)
        if np.abs(corners[first] - corners[second]).sum() == 1
    ]
    for index in np.argsort(places[:, 2]):
        number = int(atoms.numbers[index])
        x, y = spot(places[index])
        color = "".join(f"{round(255 * part):02x}" for part in jmol_colors[number])
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{0.6 * covalent_radii[number] * scale:.1f}" '
            f'fill="#{color}" stroke="#333" stroke-width="0.6">'
            f"<title>{chemical_symbols[number]}</title></circle>"
        )
    return f'<svg width="{size}" height="{size}" role="img">{"".join(parts)}</svg>'


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        'stroke="#bbb"/>'
    )


def _view() -> NDArray[np.float64]:
    (sine, cosine), (sine_y, cosine_y) = ((np.sin(angle), np.cos(angle)) for angle in VIEW)
    about_x = np.array([(1, 0, 0), (0, cosine, -sine), (0, sine, cosine)])
    about_y = np.array([(cosine_y, 0, sine_y), (0, 1, 0), (-sine_y, 0, cosine_y)])
    return about_x @ about_y
