"""The project's own Python files as syntax trees, for the tests that keep the style by machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("atomfm_calc", "training", "downstream")
"""What is installed."""
FOLDERS = (*PACKAGES, "tests", "tutorials", "benchmarks", "docs")
"""Everything that holds Python files; those that do not exist yet are empty."""


@cache
def python_files(*folders: str) -> tuple[str, ...]:
    """Paths relative to the root, with slashes."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    names = sorted(path.relative_to(ROOT).as_posix() for path in found)
    return tuple(name for name in names if not name.startswith("docs/_build/"))


@cache
def tree_of(path: str) -> ast.Module:
    """Syntax tree of a file given relative to the root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path)


@cache
def imports_of(path: str) -> tuple[str, ...]:
    """Full names that a file imports anywhere: "a.b" for `import a.b`, "a.b.c" for names from a.b.

    Names under `if TYPE_CHECKING:` count as well: who needs the type, knows the module.
    """
    names: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise AssertionError(f"{path}:{node.lineno}: relative import; write the full name")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def calls_of(path: str) -> Iterator[tuple[str, ast.Call]]:
    """Dotted name and node of every call, such as "torch.load"."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def is_under(path: str, places: tuple[str, ...]) -> bool:
    """Whether a file is one of `places` or in one of the folders among them (ending in "/")."""
    return any(
        path == place or (place.endswith("/") and path.startswith(place)) for place in places
    )
