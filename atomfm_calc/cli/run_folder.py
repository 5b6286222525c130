"""What every `atomfm run` begins and ends with: structures, calculator, folder, result, picture."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import (
    CalculatorOptions,
    FolderOptions,
    ResumableOptions,
    RunOptions,
    note_unseen_periodicity,
    read_structures,
)
from atomfm_calc.cli.output import json_text, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ase import Atoms

TRAJECTORY = "trajectory.traj"
KEPT = "computed.traj"
RESULT = "result.json"
OCCUPIED = {TRAJECTORY: "a trajectory", "computed*.traj": "structures", RESULT: "a result"}
"""What a folder may hold already, and what that is."""


@dataclass(frozen=True, kw_only=True)
class WorkflowRun:
    """One call of a workflow from the command line."""

    name: str
    """Of the command; key of `run_plots.PLOTS`."""
    files: list[Path]
    """What was read."""
    structures: list[Atoms]
    """What was in them."""
    settings: Any
    """Of the workflow."""
    calc: Any
    """What computes; None: nothing does."""
    folder: Path
    """For the results."""
    place: FolderOptions
    """As given."""

    @property
    def atoms(self) -> Atoms:
        """The first structure."""
        return self.structures[0]

    @property
    def resume(self) -> bool:
        """Whether to go on in the folder."""
        return isinstance(self.place, ResumableOptions) and self.place.resume

    def finish(
        self, result: Any, structures: Mapping[str, Atoms | list[Atoms]] | None = None
    ) -> None:
        """Write what was done, with what, and print the result.

        Args:
            result: of the workflow.
            structures: file name -> what it gets.
        """
        import ase.io

        from atomfm_calc.workflows.result import result_to_dict

        for name, atoms in (structures or {}).items():
            ase.io.write(self.folder / name, atoms)
        content: dict[str, Any] = {
            "result": result_to_dict(result),
            "settings": asdict(self.settings),
            "structure": _names(self.files),
            "made_by": None if self.calc is None else self.calc.fingerprint(),
        }
        (self.folder / RESULT).write_text(json_text(content) + "\n", encoding="utf-8")
        _draw(self.name, result, self.folder)
        if self.place.json:
            print_json(content)
        else:
            print_table(("result", str(self.folder)), content["result"])


@contextmanager
def open_run(
    name: str,
    files: Sequence[Path],
    settings: Any,
    place: FolderOptions,
    calculator: CalculatorOptions | None = None,
    *,
    index: int | str = -1,
    n_calls: int | None = None,
    crystal: bool = False,
) -> Iterator[WorkflowRun]:
    """Read the structures, load the calculator and make the folder, or say what that would be.

    Args:
        name: of the command.
        files: of structures.
        settings: of the workflow, a dataclass.
        place: where results go.
        calculator: what computes; None: nothing does.
        index: which structures of each file.
        n_calls: calculations of one structure that the workflow takes at most, for a dry run;
            None: not known before.
        crystal: whether the workflow needs one, so that a dry run asks for stress, too.

    Raises:
        DataError: a file that cannot be read, or a folder with results.
        typer.Exit: after a dry run; or stopped, and a resumption is possible.
    """
    structures = [one for file in files for one in read_structures(file, str(index))]
    run = WorkflowRun(
        name=name,
        files=list(files),
        structures=structures,
        settings=settings,
        calc=None if calculator is None else calculator.load(),
        folder=place.out or Path(f"{files[0].stem}-{name}"),
        place=place,
    )
    _refuse_results(run.folder, overwrite=place.overwrite, resume=run.resume)
    if run.calc is not None:
        note_unseen_periodicity(run.calc, structures)
    if isinstance(place, RunOptions) and place.dry_run:
        _tell_of_dry_run(run, n_calls, crystal)
        raise typer.Exit
    _make_folder(run.folder, rid_of_results=place.overwrite and not run.resume)
    try:
        yield run
    except KeyboardInterrupt:
        if not isinstance(place, ResumableOptions):
            raise
        typer.echo(f"stopped; the same command with --resume goes on in {run.folder}", err=True)
        raise typer.Exit(ExitStatus.RESUME) from None


def _make_folder(folder: Path, *, rid_of_results: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if rid_of_results:
        for path in [path for name in OCCUPIED for path in folder.glob(name)]:
            path.unlink()


def _refuse_results(folder: Path, *, overwrite: bool, resume: bool) -> None:
    from atomfm_calc.errors import DataError

    for name, what in OCCUPIED.items():
        if any(folder.glob(name)) and not (overwrite or resume):
            raise DataError(
                f"{folder} already holds {what}; pass --overwrite, another --out, or --resume "
                "where the command has it"
            )


def _names(files: list[Path]) -> str | list[str]:
    return [str(file) for file in files] if len(files) > 1 else str(files[0])


def _tell_of_dry_run(run: WorkflowRun, n_calls: int | None, crystal: bool) -> None:
    content = {
        "dry_run": True,
        "workflow": run.name,
        "structure": _names(run.files),
        "folder": str(run.folder),
        "settings": asdict(run.settings),
        "start": [_state(run.calc, atoms, crystal) for atoms in run.structures],
        "n_calls_at_most": n_calls,
        **_duration(run.calc, run.atoms, n_calls),
        "made_by": run.calc.fingerprint(),
    }
    if run.place.json:
        print_json(content)
    else:
        print_table(("dry run", run.name), content)


def _state(calc: Any, atoms: Atoms, stress: bool) -> dict[str, Any]:
    """What is computed of a structure before anything is done with it."""
    import numpy as np

    if stress:
        calc.get_stress(atoms)
    forces = calc.get_forces(atoms)
    return {
        "formula": atoms.get_chemical_formula(),
        "n_atoms": len(atoms),
        "energy": float(calc.get_potential_energy(atoms)),
        "max_force": float(np.linalg.norm(forces, axis=1).max()),
    }


def _duration(calc: Any, atoms: Atoms, n_calls: int | None) -> dict[str, float | None]:
    """Time of one calculation, the least of three; the first ones of a process compile."""
    times = []
    for seed in range(3):
        moved = atoms.copy()
        moved.rattle(1e-3, seed=seed)
        began = time.perf_counter()
        calc.get_forces(moved)
        times.append(time.perf_counter() - began)
    seconds = min(times)
    total = None if n_calls is None else n_calls * seconds
    return {"seconds_per_call": seconds, "seconds_at_most": total}


def _draw(workflow: str, result: Any, folder: Path) -> None:
    if find_spec("matplotlib") is None:
        typer.echo("no picture: matplotlib is missing; pip install 'atomfm[plots]'", err=True)
        return
    from atomfm_calc.cli.run_plots import PLOTS

    PLOTS[workflow](result).savefig(folder / f"{workflow}.png", dpi=150)
