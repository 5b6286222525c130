"""The folder that every `atomfm run` leaves: result, settings, structure and picture."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ase import Atoms

    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.calculators.setup import CalculatorSettings

TRAJECTORY = "trajectory.traj"
KEPT = "computed.traj"
RESULT = "result.json"
OCCUPIED = {TRAJECTORY: "a trajectory", "computed*.traj": "structures", RESULT: "a result"}
"""What a folder may hold already, and what that is."""
MAX_SHOWN = 6
"""Numbers of a list that the screen shows; the file has all."""

FolderOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for the results; default: FILE-workflow.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on in the folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
PreciseOption = Annotated[str, typer.Option("--dtype", help="float32 or float64.")]


def result_folder(
    out: Path | None, default: str, *, overwrite: bool = False, resume: bool = False
) -> Path:
    """The folder, made if need be.

    Raises:
        DataError: it holds something already, and nobody said what to do with it.
    """
    from atomfm_calc.errors import DataError

    folder = out or Path(default)
    for name, what in OCCUPIED.items():
        if any(folder.glob(name)) and not (overwrite or resume):
            raise DataError(
                f"{folder} already holds {what}; pass --overwrite, another --out, or --resume "
                "where the command has it"
            )
    folder.mkdir(parents=True, exist_ok=True)
    if overwrite and not resume:
        for path in [path for name in OCCUPIED for path in folder.glob(name)]:
            path.unlink()
    return folder


def load_calculator(model: str, settings: CalculatorSettings) -> FoundationCalc:
    """The calculator of a model."""
    from atomfm_calc.calculators.calculator import FoundationCalc

    return FoundationCalc.from_settings(model, settings)


def finish(
    folder: Path,
    workflow: str,
    files: Path | list[Path],
    calc: FoundationCalc | None,
    settings: Any,
    result: Any,
    *,
    structures: Mapping[str, Atoms | list[Atoms]] | None = None,
    as_json: bool = False,
) -> None:
    """Write what was done, with what, and print the result.

    Args:
        folder: from `result_folder`.
        workflow: name of the command; a picture is drawn if `run_plots` has one of this name.
        files: what was read.
        calc: what computed; None: nothing did.
        settings: of the workflow.
        result: of the workflow.
        structures: file name -> what it gets.
        as_json: print JSON in place of a table.
    """
    import ase.io

    from atomfm_calc.workflows.result import result_to_dict

    for name, atoms in (structures or {}).items():
        ase.io.write(folder / name, atoms)
    content: dict[str, Any] = {
        "result": result_to_dict(result),
        "settings": asdict(settings),
        "structure": [str(file) for file in files] if isinstance(files, list) else str(files),
        "made_by": None if calc is None else calc.fingerprint(),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / RESULT).write_text(text + "\n", encoding="utf-8")
    _draw(workflow, result, folder)
    if as_json:
        typer.echo(text)
    else:
        _print(folder, content["result"])


def _draw(workflow: str, result: Any, folder: Path) -> None:
    if find_spec("matplotlib") is None:
        typer.echo("no picture: matplotlib is missing; pip install 'atomfm[plots]'", err=True)
        return
    from atomfm_calc.cli.run_plots import PLOTS

    if workflow in PLOTS:
        figure = PLOTS[workflow](result)
        figure.savefig(folder / f"{workflow}.png", dpi=150)


def _print(folder: Path, numbers: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("result", str(folder))
    for name, value in _rows(numbers):
        table.add_row(name, value)
    Console().print(table)


def _rows(numbers: dict[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in numbers.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{before}{name}.")
        elif value is not None and not (isinstance(value, list) and len(value) > MAX_SHOWN):
            rows.append((f"{before}{name}", _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list):
        between = "\n" if value and isinstance(value[0], list | dict) else "  "
        return between.join(_text(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)
