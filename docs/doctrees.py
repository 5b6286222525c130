"""What is changed in the pages after Sphinx has read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).parents[1]
LONGEST_VALUE = 60
"""Characters of a constant's value that still says something at a glance."""


def offer_files(app: Any, doctree: nodes.document) -> None:
    """Turn links to Python files that are no pages, such as a script, into downloads, in place."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        target = f"{link.get('reftarget')}.py"
        is_page = link.get("reftarget") in app.env.found_docs
        if link.get("refdomain") == "doc" and not is_page and (ROOT / target).is_file():
            offer = addnodes.download_reference(
                "", "", *link.children, reftarget=f"/{target}", refdoc=link["refdoc"]
            )
            link.replace_self(offer)


def tidy_reference(app: Any, doctree: nodes.document) -> None:
    """Leave out values that are tables or addresses in memory; write dashes as dashes."""
    for part in list(doctree.findall(addnodes.desc_annotation)):
        text = part.astext().strip()
        if text.startswith("=") and (len(text) > LONGEST_VALUE or "<" in text):
            part.parent.remove(part)
    for text in list(doctree.findall(nodes.Text)):
        if text.astext() == " -- ":  # what Sphinx puts between an argument and its description
            text.parent.replace(text, nodes.Text(" – "))
