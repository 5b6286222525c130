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
    "--on-uncertain",
    "--max-uncertainty",
}
PLACE = {"--index", "--out", "--overwrite", "--json", "--dry-run"}
COMMANDS: dict[str, set[str]] = {
    "atomfm": {"--debug", "--quiet", "--version", "--install-completion", "--show-completion"},
    "atomfm models": set(),
    "atomfm models advise": {"file", "--model", "--json"},
    "atomfm models list": {"--json"},
    "atomfm models show": {"name", "--head", "--html", "--parity", "--json"},
    "atomfm models verify": {"name", "--json"},
    "atomfm models import-hydragnn": {
        *("run", "--out", "--head-names", "--card", "--references", "--neighbors"),
        "--json",
    },
    "atomfm predict": {"file", "--out", "--properties", "--json", "--dry-run", *CALCULATOR},
    "atomfm run": set(),
    "atomfm run relax": {
        *("file", "--cell", "--max-force", "--max-steps", "--optimizer", "--pressure-GPa"),
        *("--keep-symmetry", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run md": {
        *("file", "--ensemble", "--temperature-K", "--pressure-GPa", "--timestep-fs", "--steps"),
        *("--record-every", "--seed", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run eos": {
        *("file", "--equation", "--points", "--volume-range", "--relax", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run elastic": {
        *("file", "--max-strain", "--strains", "--relax", "--clamped", "--max-force", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run phonons": {
        *("file", "--supercell", "--min-length", "--displacement", "--relax", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run quasi-harmonic": {
        *("file", "--supercell", "--min-length", "--points", "--compression", "--expansion"),
        *("--max-temperature-K", "--relax", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run vibrations": {
        *("file", "--displacement", "--differences", "--relax", "--max-force", "--resume"),
        *(PLACE | CALCULATOR),
    },
    "atomfm run neb": {
        *("file", "last", "--images", "--max-force", "--max-steps", "--optimizer", "--relax"),
        *("--resume", *(PLACE | CALCULATOR) - {"--index"}),
    },
    "atomfm run surface": {
        *("file", "--bulk", "--max-force", *(PLACE | CALCULATOR) - {"--index"}),
    },
    "atomfm run adsorption": {
        *("file", "--slab", "--molecule", "--max-force", *(PLACE | CALCULATOR) - {"--index"}),
    },
    "atomfm run rdf": {
        *("file", "--elements", "--max-distance", "--bins", "--frames"),
        *(PLACE - {"--index", "--dry-run"}),
    },
    "atomfm run diffusion": {
        *("file", "--frame-time-fs", "--frames"),
        *(PLACE - {"--index", "--dry-run"}),
    },
    "atomfm screen": set(),
    "atomfm screen run": {
        *("what", "--out", "--model", "--head", "--forces", "--device", "--dtype"),
        *("--allow-unseen-elements", "--rank", "--ranks", "--mpi", "--json", "--dry-run"),
    },
    "atomfm screen plan": {
        *("what", "--candidates", "--ranks", "--seconds", "--model", "--head", "--forces"),
        *("--device", "--dtype", "--allow-unseen-elements", "--json"),
    },
    "atomfm screen report": {"folder", "--out", "--top", "--json"},
    "atomfm check": {
        *("--calculator", "--structures", "--precision", "--only", "--out", "--json"),
        *CALCULATOR,
    },
    "atomfm doctor": {"--json"},
}


def test_the_commands_and_their_options_are_those_of_this_list() -> None:
    assert commands() == COMMANDS
