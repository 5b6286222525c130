"""Errors per element, on the periodic table, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atomfm_calc.periodic_table import ElementCell, element_grid


def element_map(errors: Mapping[str, Mapping[str, Any]]) -> str:
    """The table with each element's mean error and number; the darker, the larger the error."""
    largest = max((entry["error"] for entry in errors.values()), default=0.0) or 1.0
    return element_grid(
        {
            symbol: ElementCell(
                (f"{entry['error']:.3g}", str(entry["n"])), entry["error"] / largest
            )
            for symbol, entry in errors.items()
        }
    )
