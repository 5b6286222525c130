"""`atomfm doctor`: what is installed, what is missing, whether the models work."""

from __future__ import annotations

import platform
import re
import time
from importlib import metadata
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

CORE = ("torch", "ase", "numpy", "numba", "vesin", "safetensors", "pydantic")
REQUIREMENT = re.compile(r"^(?P<package>[\w.-]+)[^;]*;.*extra == ['\"](?P<extra>[\w-]+)['\"]")
"""One line of the package's metadata that belongs to an extra."""


def doctor() -> None:
    """Report versions, devices, extras and models; exit status 1 if a model is damaged."""
    from rich.console import Console

    console = Console()
    _report_versions(console)
    _report_extras(console)
    if not _report_models(console):
        raise typer.Exit(1)


def _report_versions(console: Console) -> None:
    import torch
    from rich.table import Table

    from atomfm_calc import __version__

    table = Table("package", "version")
    table.add_row("atomfm", __version__)
    table.add_row("python", platform.python_version())
    for name in CORE:
        table.add_row(name, metadata.version(name))
    table.add_row("CPU threads of torch", str(torch.get_num_threads()))
    table.add_row("CUDA devices", str(torch.cuda.device_count()))
    console.print(table)


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


def _report_extras(console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    found = extras()
    if not found:
        console.print("atomfm is not installed as a package, so its extras are not known.")
        return
    table = Table("extra", "packages", "to install")
    for extra, packages in found.items():
        missing = [package for package, version in packages.items() if version is None]
        state = ", ".join(
            f"{package} {version or 'missing'}" for package, version in packages.items()
        )
        command = f"pip install 'atomfm[{extra}]'" if missing else ""
        table.add_row(extra, state, escape(command))
    console.print(table)


def _report_models(console: Console) -> bool:
    """Verify every shipped model and compute silicon or water with it; False if one fails."""
    from rich.table import Table

    from atomfm_calc.errors import AtomFMError
    from atomfm_calc.registry.catalog import list_models

    intact = True
    table = Table("model", "state")
    for name in list_models():
        try:
            state = _try_model(name)
        except AtomFMError as error:
            state, intact = str(error), False
        table.add_row(name, state)
    if table.row_count == 0:
        table.add_row("none", "no model ships with this installation")
    console.print(table)
    return intact


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
