"""What goes to the standard output: one table for people or one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

MAX_SHOWN = 6
"""Numbers of a list that the screen shows; JSON has all."""


def json_text(content: Any) -> str:
    """Indented JSON; NaN is refused, because JSON has none."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)


def print_json(content: Any) -> None:
    """Print one JSON document."""
    typer.echo(json_text(content))


def print_table(title: tuple[str, str], numbers: Mapping[str, Any]) -> None:
    """Print nested names and values as a table of two columns, without long lists."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*title)
    for name, value in _rows(numbers):
        table.add_row(Text(name), Text(value))
    Console().print(table)


def _rows(numbers: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in numbers.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{before}{name}.")
        elif value is not None and not (isinstance(value, list) and len(value) > MAX_SHOWN):
            rows.append((f"{before}{name}", _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list):
        between = "\n" if value and isinstance(value[0], list | dict) else "  "
        return between.join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)
