"""Docstrings of the house, which are plain text with `code`, as reStructuredText.

Outside of code, reStructuredText gives `*`, `|` and a final `_` a meaning that an author of
"|error|" or "a*" did not have in mind; an indented block is an example, not a quotation.
"""

from __future__ import annotations

import re

CODE = re.compile(r"(`+[^`]*`+)")
MARKUP = re.compile(r"[*|\\]|(?<=\w)_(?!\w)")
SECTION = re.compile(r"(Args|Returns|Raises|Yields|Attributes|Example|Examples|Note):\s*$")


def as_restructured_text(lines: list[str]) -> list[str]:
    """The same text in reStructuredText; sections such as "Args:" stay for napoleon."""
    text = "\n".join(lines)
    parts = CODE.split(text)
    parts[::2] = [MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    escaped = "".join(parts).split("\n")
    written: list[str] = []
    in_example = in_section = False
    for plain, line in zip(text.split("\n"), escaped, strict=True):
        in_section = in_section or SECTION.match(plain) is not None
        indented = plain.startswith("    ")
        if plain.strip() and not indented:
            in_example = False
        elif indented and not in_section and not in_example and _follows_a_gap(written):
            written += ["::", ""]
            in_example = True
        written.append(plain if in_example else line)
    return written


def _follows_a_gap(written: list[str]) -> bool:
    return not written or not written[-1].strip()
