"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of texts that are Markdown themselves."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns: what, and plain text; rows without text are left out."""
    return table(("", ""), [(name, cell(text)) for name, text in rows if text])


def cell(text: str) -> str:
    """Plain text as the content of a cell: no character of it is markup, except for `code`."""
    parts = " ".join(text.split()).split("`")
    escaped = [
        part.replace("\\", "\\\\").translate(MARKUP) if place % 2 == 0 else part.replace("|", "\\|")
        for place, part in enumerate(parts)
    ]
    return "`".join(escaped)


MARKUP = str.maketrans({character: f"\\{character}" for character in "|*_[]<>#$"})
