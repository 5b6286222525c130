"""Errors per element, on the periodic table, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase.data import chemical_symbols

NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)
F_BLOCK = {6: range(57, 71), 7: range(89, 103)}
"""Lanthanides and actinides by period; shown in two rows of their own."""


def place_of(number: int) -> tuple[int, int]:
    """Row and column, from 1; the f block is in rows 9 and 10."""
    period = next(row for row, last in enumerate(NOBLE_GASES) if number <= last)
    if number in F_BLOCK.get(period, ()):
        return period + 3, 3 + number - F_BLOCK[period].start
    before = NOBLE_GASES[period] - number  # elements up to the noble gas
    n_left = 1 if period == 1 else 2
    from_left = number - NOBLE_GASES[period - 1]
    return period, from_left if from_left <= n_left else 18 - before


def element_map(errors: Mapping[str, Mapping[str, Any]]) -> str:
    """The table with each element's mean error and number; the darker, the larger the error."""
    largest = max((entry["error"] for entry in errors.values()), default=0.0) or 1.0
    boxes = []
    for number in range(1, len(chemical_symbols)):
        row, column = place_of(number)
        symbol = chemical_symbols[number]
        style, text, seen = f"grid-row:{row};grid-column:{column}", symbol, ""
        if symbol in errors:
            entry = errors[symbol]
            lightness = 95.0 - 45.0 * entry["error"] / largest
            style += f";background:hsl(12 80% {lightness:.0f}%)"
            text = f"<b>{symbol}</b><br>{entry['error']:.3g}<br><small>{entry['n']}</small>"
            seen = " class=seen"
        boxes.append(f'<div{seen} style="{style}">{text}</div>')
    return f"<div class=elements>{''.join(boxes)}</div>"
