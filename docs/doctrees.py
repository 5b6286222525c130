"""What is changed in docstrings and pages while Sphinx reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.ext.napoleon import Config, GoogleDocstring

from docs.docstrings import as_restructured_text

ROOT = Path(__file__).parents[1]
LONGEST_VALUE = 60
"""Characters of a constant's value that still says something at a glance."""

FIELDS = ("attribute", "data", "property")
"""Their docstrings have no sections, and what stands before a colon in them is no type."""
SECTIONS = Config(napoleon_use_ivar=True)


def read_docstring(
    app: Any, what: str, name: str, thing: object, options: Any, lines: list[str]
) -> None:
    """Rewrite the lines of a Google docstring in place, as Sphinx's event asks."""
    written = as_restructured_text(lines)
    if what not in FIELDS:
        docstring = GoogleDocstring(written, SECTIONS, app, what, name, thing, options)
        written = docstring.lines()
    lines[:] = written


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
