"""Parts of the pages that are written from the registries when the pages are built.

A page says `<!-- generated: NAME WORDS -->` on a line of its own; the line gives way to the
Markdown of `PARTS[NAME]`. A plain forge shows the rest of the page, without the comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from atomfm_calc.errors import lookup
from docs import command_lines, modules, registries

MARKER = re.compile(r"^<!-- generated: (\S+)((?: \S+)*) -->$", re.MULTILINE)

PARTS: dict[str, Callable[..., str]] = {
    "api": modules.api,
    "commands": command_lines.commands,
    "datasets": registries.datasets,
    "models": registries.models,
    "recipes": registries.recipes,
    "workflows": registries.workflows,
}
"""Name in a marker -> function of the words after it."""


def with_generated_parts(app: Any, page: str, source: list[str]) -> None:
    """Fill the markers of a page in place, as Sphinx's event asks."""
    if {name for name, _ in MARKER.findall(source[0])} - {"api"}:
        app.env.note_reread()  # what a table is made of is in no file that Sphinx watches
    source[0] = filled(source[0])


def filled(text: str) -> str:
    """A page with its generated parts; UnknownNameError lists the parts that there are."""
    return MARKER.sub(
        lambda marker: lookup(PARTS, marker[1], "generated part", "docs")(*marker[2].split()), text
    )
