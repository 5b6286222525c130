"""Links to files that are no pages, such as a module or a script: the page offers the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).parents[1]


def offer_files(app: Any, doctree: nodes.document) -> None:
    """Turn links to Python files that Sphinx takes for pages into downloads, in place."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        target = f"{link.get('reftarget')}.py"
        is_page = link.get("reftarget") in app.env.found_docs
        if link.get("refdomain") == "doc" and not is_page and (ROOT / target).is_file():
            offer = addnodes.download_reference(
                "", "", *link.children, reftarget=f"/{target}", refdoc=link["refdoc"]
            )
            link.replace_self(offer)
