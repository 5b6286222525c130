"""The command line is a promise: a command or option that goes or comes changes this list."""

from __future__ import annotations

from atomfm_calc.cli import commands

CALCULATOR = {
    "--model",
    "--head",
    "--device",
    "--dtype",
    "--matmul-precision",
    "--charge",
    "--multiplicity",
    "--allow-unseen-elements",
}
PLACE = {"--index", "--out", "--overwrite"}
COMMANDS: dict[str, set[str]] = {
    "atomfm": {"--debug", "--quiet", "--version"},
    "atomfm models": set(),
    "atomfm models advise": {"file", "--model", "--json"},
    "atomfm models list": set(),
    "atomfm models show": {"name", "--head"},
    "atomfm models verify": {"name"},
    "atomfm models import-hydragnn": {
        *("run", "--out", "--head-names", "--card", "--references", "--neighbors"),
    },
    "atomfm predict": {"file", "--out", "--properties", *CALCULATOR},
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
    "atomfm screen": set(),
    "atomfm screen run": {
        *("what", "--out", "--model", "--head", "--forces", "--device", "--dtype"),
        *("--allow-unseen-elements", "--rank", "--ranks", "--mpi"),
    },
    "atomfm screen plan": {
        *("what", "--candidates", "--ranks", "--seconds", "--model", "--head", "--forces"),
        *("--device", "--dtype", "--allow-unseen-elements"),
    },
    "atomfm screen report": {"folder", "--out", "--top"},
    "atomfm doctor": set(),
}


def test_the_commands_and_their_options_are_those_of_this_list() -> None:
    assert commands() == COMMANDS
