"""The command line is a promise: a command or option that goes or comes changes this list."""

from __future__ import annotations

import typer

from atomfm_calc.cli import app

CALCULATOR = {
    "--model",
    "--head",
    "--device",
    "--dtype",
    "--charge",
    "--multiplicity",
    "--allow-unseen-elements",
}
PLACE = {"--index", "--out", "--overwrite"}
COMMANDS: dict[str, set[str]] = {
    "atomfm": {"--debug", "--quiet", "--version"},
    "atomfm models": set(),
    "atomfm models list": set(),
    "atomfm models show": {"name", "--head"},
    "atomfm models verify": {"name"},
    "atomfm predict": {"file", "--out", *CALCULATOR},
    "atomfm run": set(),
    "atomfm run relax": {
        *("file", "--cell", "--max-force", "--max-steps", "--optimizer", "--pressure-GPa"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run md": {
        *("file", "--ensemble", "--temperature-K", "--timestep-fs", "--steps"),
        *("--record-every", "--seed", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm doctor": set(),
}


def _walk(command: object, name: str) -> dict[str, set[str]]:
    options = {parameter.opts[0] for parameter in command.params} - {"--help"}
    found = {name: options}
    for inner, child in getattr(command, "commands", {}).items():
        found |= _walk(child, f"{name} {inner}")
    return found


def test_the_commands_and_their_options_are_those_of_this_list() -> None:
    assert _walk(typer.main.get_command(app), "atomfm") == COMMANDS
