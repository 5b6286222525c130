"""`atomfm doctor`: what is installed, what is missing, whether the models work."""

from __future__ import annotations

import platform
import re
import time
from importlib import metadata
from typing import Any

import typer

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import JsonOption
from atomfm_calc.cli.output import print_json

CORE = ("torch", "ase", "numpy", "numba", "vesin", "safetensors", "pydantic")
REQUIREMENT = re.compile(r"^(?P<package>[\w.-]+)[^;]*;.*extra == ['\"](?P<extra>[\w-]+)['\"]")
"""One line of the package's metadata that belongs to an extra."""


def doctor(json: JsonOption = False) -> None:
    """Report versions, devices, extras and models; exit status 1 if a model is damaged."""
    content: dict[str, Any] = {"versions": _versions(), "extras": extras(), "models": _models()}
    if json:
        print_json(content)
    else:
        _show(content)
    if not all(found["intact"] for found in content["models"].values()):
        raise typer.Exit(ExitStatus.FAILED)


def _versions() -> dict[str, str]:
    import torch

    from atomfm_calc import __version__

    return {
        "atomfm": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in CORE},
        "CPU threads of torch": str(torch.get_num_threads()),
        "CUDA devices": str(torch.cuda.device_count()),
    }


def extras() -> dict[str, dict[str, str | None]]:
    """Optional packages by extra, with the installed version or None; empty if not installed."""
    found: dict[str, dict[str, str | None]] = {}
    try:
        lines = metadata.requires("atomfm") or []
    except metadata.PackageNotFoundError:
        return found
    for line in lines:
        match = REQUIREMENT.match(line)
        if match:
            package = match["package"]
            found.setdefault(match["extra"], {})[package] = _version(package)
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _models() -> dict[str, dict[str, Any]]:
    """What happens when each shipped model is verified and computes silicon or water."""
    from atomfm_calc.errors import AtomFMError
    from atomfm_calc.registry.catalog import list_models

    found: dict[str, dict[str, Any]] = {}
    for name in list_models():
        try:
            found[name] = {"intact": True, "state": _try_model(name)}
        except AtomFMError as error:
            found[name] = {"intact": False, "state": str(error)}
    return found


def _try_model(name: str) -> str:
    from ase.build import bulk, molecule

    from atomfm_calc.calculators.calculator import FoundationCalc

    calc = FoundationCalc(name)
    covered = calc.heads[calc.head].elements
    atoms = bulk("Si", cubic=True) if "Si" in covered else molecule("H2O")
    calc.get_forces(atoms)  # the first call compiles
    start = time.perf_counter()
    atoms.rattle(0.01)
    calc.get_forces(atoms)
    return f"intact; {len(atoms)} atoms in {1e3 * (time.perf_counter() - start):.0f} ms"


def _show(content: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    versions = Table("package", "version")
    for name, version in content["versions"].items():
        versions.add_row(name, version)
    console.print(versions)
    needed = Table("extra", "packages", "to install")
    for extra, packages in content["extras"].items():
        missing = [package for package, version in packages.items() if version is None]
        state = ", ".join(
            f"{package} {version or 'missing'}" for package, version in packages.items()
        )
        needed.add_row(extra, state, escape(f"pip install 'atomfm[{extra}]'") if missing else "")
    if content["extras"]:
        console.print(needed)
    else:
        console.print("atomfm is not installed as a package, so its extras are not known.")
    models = Table("model", "state")
    for name, found in content["models"].items():
        models.add_row(name, escape(found["state"]))
    if not content["models"]:
        models.add_row("none", "no model ships with this installation")
    console.print(models)
