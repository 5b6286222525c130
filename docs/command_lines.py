"""The reference of commands, from the objects that parse them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from atomfm_calc.cli import app as atomfm
from atomfm_calc.errors import lookup
from docs.tables import cell, table
from downstream.__main__ import app as downstream
from training.__main__ import app as training
from training.datasets.commands import app as datasets
from training.doctor.commands import check

PROGRAMS: dict[str, tuple[str, Any]] = {
    "atomfm": ("atomfm", atomfm),
    "training": ("python -m training", training),
    "datasets": ("python -m training datasets", datasets),
    "downstream": ("python -m downstream", downstream),
}
"""Word in a marker -> how the program is called, and the object that parses its command line."""


def commands(program: str) -> str:
    """A section for each command of a program: what it does, its arguments and options."""
    return "\n\n".join(_section(name, command) for name, command in _walk(program))


def options_of_commands() -> dict[str, set[str]]:
    """Every command as it is typed -> the options it has, of all programs."""
    return {
        name: {word for parameter in command.params for word in _words(parameter)}
        for program in PROGRAMS
        for name, command in _walk(program)
    }


def options_of_programs() -> set[str]:
    """Options that stand before a command, such as --quiet, and --help."""
    roots = [typer.main.get_command(app) for _, app in PROGRAMS.values()]
    return {"--help"} | {word for root in roots for one in root.params for word in _words(one)}


def _walk(program: str) -> Iterator[tuple[str, Any]]:
    """Commands that do something themselves, those of groups after the group's name."""
    name, app = lookup(PROGRAMS, program, "program", "docs")
    if app is datasets and "check" not in {command.name for command in app.registered_commands}:
        datasets.command("check")(check)  # as training.__main__ does before it parses
    yield from _inside(name, typer.main.get_command(app))


def _inside(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children or command.invoke_without_command:
        yield name, command
    for child in children:
        yield from _inside(f"{name} {child}", children[child])


def _section(name: str, command: Any) -> str:
    text = re.sub(r"\n{2,}", "\n\n", (command.help or "").strip())
    parts = [f"### {name}", text]
    shown = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", 0)]
    rows = [
        (
            " ".join(f"`{word}`" for word in _words(parameter)),
            cell(getattr(parameter, "help", None) or ""),
            _default(parameter),
        )
        for parameter in shown
    ]
    if rows:
        parts.append(table(("argument or option", "what", "default"), rows))
    return "\n\n".join(parts)


def _words(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [parameter.metavar or parameter.name.upper()]
    return [*parameter.opts, *parameter.secondary_opts]


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    if value is None or callable(value) or isinstance(value, bool) or str(value) in ("", "()"):
        return "yes" if value is True else "–"
    return f"`{value}`"
