"""The periodic table as a grid of HTML: where an element stands and how it is shaded."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from ase.data import chemical_symbols

NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)
F_BLOCK = {6: range(57, 71), 7: range(89, 103)}
"""Lanthanides and actinides by period; shown in two rows of their own."""
ELEMENTS_STYLE = """.elements{display:grid;grid-template-columns:repeat(18,minmax(0,3.6em));gap:2px;
font-size:12px}.elements div{padding:.15em 0;text-align:center;overflow:hidden;
background:var(--cell,#f3f3f3);color:var(--unseen,#999)}
.elements .seen{color:var(--ink,#000);background:color-mix(in srgb,var(--shade-color,#e0633a)
calc(var(--shade)*100%),var(--cell,#f3f3f3))}.elements small{display:block;font-size:10px}"""
"""CSS; a page may set the colors --cell, --unseen, --ink and --shade-color."""


class ElementCell(NamedTuple):
    """What the table shows of an element."""

    lines: tuple[str, ...]
    """Small text below the symbol"""
    shade: float
    """0 to 1, how strong its color is"""
    title: str = ""
    """What is said when it is pointed at"""


def place_of(number: int) -> tuple[int, int]:
    """Row and column of an atomic number, from 1; the f block is in rows 9 and 10."""
    period = next(row for row, last in enumerate(NOBLE_GASES) if number <= last)
    if number in F_BLOCK.get(period, ()):
        return period + 3, 3 + number - F_BLOCK[period].start
    before = NOBLE_GASES[period] - number  # elements up to the noble gas
    n_left = 1 if period == 1 else 2
    from_left = number - NOBLE_GASES[period - 1]
    return period, from_left if from_left <= n_left else 18 - before


def element_grid(cells: Mapping[str, ElementCell]) -> str:
    """All elements; those without a cell are pale."""
    boxes = []
    for number in range(1, len(chemical_symbols)):
        row, column = place_of(number)
        symbol = chemical_symbols[number]
        style = f"grid-row:{row};grid-column:{column}"
        if symbol not in cells:
            boxes.append(f'<div style="{style}">{symbol}</div>')
            continue
        cell = cells[symbol]
        lines = "".join(f"<small>{escape(line)}</small>" for line in cell.lines)
        boxes.append(
            f'<div class="seen" style="{style};--shade:{cell.shade:.2f}" '
            f'title="{escape(cell.title)}"><b>{symbol}</b>{lines}</div>'
        )
    return f'<div class="elements">{"".join(boxes)}</div>'
