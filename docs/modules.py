"""The reference of modules, from their docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

from atomfm_calc.errors import UnknownNameError

ROOT = Path(__file__).parents[1]
NEEDS_GPU_COMPILER = ("atomfm_calc.kernels.cuda", "atomfm_calc.kernels.cuda_programs")
"""Modules that cannot be imported without Triton; their docstrings are read from the text."""


def api(*names: str) -> str:
    """A section for each module, with all that its docstrings say."""
    return "\n\n".join(f"## {name}\n\n{_content(name)}" for name in modules_of(*names))


def modules_of(*names: str) -> list[str]:
    """Public modules by dotted names, each once.

    A package stands for all in it, itself first; `package.*` for itself and its own files alone.

    Raises:
        UnknownNameError: no module or package of that name.
    """
    found: list[str] = []
    for name in names:
        place = ROOT / name.removesuffix(".*").replace(".", "/")
        if place.is_dir():
            found += _inside(place, "*.py" if name.endswith(".*") else "**/*.py")
        elif place.with_suffix(".py").is_file():
            found.append(name)
        else:
            raise UnknownNameError(f"there is no module {name}")
    return list(dict.fromkeys(found))


def _inside(folder: Path, pattern: str) -> list[str]:
    paths = sorted(folder.glob(pattern), key=lambda path: (path.parts[:-1], path.stem))
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in paths]
    modules = [name.removesuffix("/__init__").replace("/", ".") for name in names]
    return [name for name in modules if "._" not in name]


def _content(name: str) -> str:
    if name in NEEDS_GPU_COMPILER:
        return _from_text(name)
    return f"```{{eval-rst}}\n.. automodule:: {name}\n```"


def _from_text(name: str) -> str:
    """The docstring of a module and the first line about each of its public functions."""
    path = ROOT / f"{name.replace('.', '/')}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [ast.get_docstring(tree) or "", ""]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            first = (ast.get_docstring(node) or "").partition("\n")[0]
            lines.append(f"- `{node.name}`: {first}")
    return "\n".join(lines)
