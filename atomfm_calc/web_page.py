"""HTML pages that need nothing but a browser: one file, no script, style or font from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

NUMBER = re.compile(r"[-−+]?[\d,]*\.?\d+(e[-+]?\d+)?")


def web_page(title: str, body: str, style: str) -> str:
    """A whole page.

    Args:
        title: of the window; is escaped.
        body: HTML, its texts already escaped.
        style: CSS.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls where the screen is narrow; texts are escaped, numbers stand right."""
    columns = list(zip(*rows, strict=True))
    head = "".join(
        _cell("th", name, all(map(_is_number, column)))
        for name, column in zip(header, columns or [()] * len(header), strict=True)
    )
    body = "".join(
        f"<tr>{''.join(_cell('td', text, _is_number(text)) for text in row)}</tr>" for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _is_number(text: str) -> bool:
    return text == "–" or NUMBER.fullmatch(text) is not None


def _cell(tag: str, text: str, is_number: bool) -> str:
    kind = ' class="number"' if is_number else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"
