"""`atomfm run`: workflows on one structure; each leaves a folder with all that it did."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomfm_calc.cli.options import (
    DEFAULT_MODEL,
    ChargeOption,
    DeviceOption,
    DtypeOption,
    HeadOption,
    IndexOption,
    ModelOption,
    MultiplicityOption,
    OverwriteOption,
    PrecisionOption,
    StructureFile,
    UnseenOption,
    read_structures,
    settings_from_options,
)

if TYPE_CHECKING:
    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.workflows.result import DynamicsResult, RelaxResult

run_app = typer.Typer(help="Relax a structure, run dynamics.", no_args_is_help=True)
TRAJECTORY = "trajectory.traj"
FolderOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for the results; default: FILE-workflow.")
]


@run_app.command()
def relax(
    file: StructureFile,
    cell: Annotated[str, typer.Option(help="fixed, full or volume.")] = "fixed",
    max_force: Annotated[float, typer.Option(help="Limit, eV/Å.")] = 0.02,
    max_steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 500,
    optimizer: Annotated[str, typer.Option(help="fire, lbfgs or bfgs.")] = "lbfgs",
    pressure_gpa: Annotated[float, typer.Option("--pressure-GPa", help="With a free cell.")] = 0.0,
    index: IndexOption = -1,
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    model: ModelOption = DEFAULT_MODEL,
    head: HeadOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "float32",
    matmul_precision: PrecisionOption = "highest",
    charge: ChargeOption = None,
    multiplicity: MultiplicityOption = None,
    allow_unseen_elements: UnseenOption = False,
) -> None:
    """Relax positions and, with --cell, the cell of one structure of FILE."""
    import ase.io
    from tqdm import tqdm

    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.workflows.relax import RelaxSettings, RelaxStep
    from atomfm_calc.workflows.relax import relax as relax_workflow

    settings = RelaxSettings(
        cell=cell,
        optimizer=optimizer,
        max_force=max_force,
        max_steps=max_steps,
        pressure_GPa=pressure_gpa,
    )
    (atoms,) = read_structures(file, str(index))
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = FoundationCalc.from_settings(model, chosen)
    folder = _result_folder(out or Path(f"{file.stem}-relax"), overwrite)
    with tqdm(desc="relax", unit=" steps", disable=None) as progress:

        def show(step: RelaxStep) -> None:
            progress.set_postfix_str(f"E {step.energy:.4f} eV, F {step.max_force:.3f} eV/Å")
            progress.update(step.n_steps > 0)

        result = relax_workflow(atoms, calc, settings, trajectory=folder / TRAJECTORY, on_step=show)
    ase.io.write(folder / "relaxed.extxyz", result.atoms)
    _finish(folder, file, calc, asdict(settings), result)
    if not result.converged:
        raise typer.Exit(1)


@run_app.command()
def md(
    file: StructureFile,
    ensemble: Annotated[str, typer.Option(help="nve, nvt-langevin, nvt-bussi.")] = "nvt-langevin",
    temperature_k: Annotated[float, typer.Option("--temperature-K", help="Kelvin.")] = 300.0,
    timestep_fs: Annotated[float, typer.Option("--timestep-fs", help="Femtoseconds.")] = 1.0,
    steps: Annotated[int, typer.Option(help="In all, also with --resume.")] = 1000,
    record_every: Annotated[int, typer.Option(help="Steps between records.")] = 10,
    seed: Annotated[int, typer.Option(help="Of velocities and thermostat.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder.")] = False,
    index: IndexOption = -1,
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    model: ModelOption = DEFAULT_MODEL,
    head: HeadOption = None,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "float32",
    matmul_precision: PrecisionOption = "highest",
    charge: ChargeOption = None,
    multiplicity: MultiplicityOption = None,
    allow_unseen_elements: UnseenOption = False,
) -> None:
    """Run molecular dynamics from one structure of FILE."""
    import ase.io
    from tqdm import tqdm

    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.workflows.course import DynamicsStep
    from atomfm_calc.workflows.dynamics import DynamicsSettings, run_dynamics

    settings = DynamicsSettings(
        ensemble=ensemble,
        temperature_K=temperature_k,
        timestep_fs=timestep_fs,
        n_steps=steps,
        record_every=record_every,
        seed=seed,
    )
    (atoms,) = read_structures(file, str(index))
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = FoundationCalc.from_settings(model, chosen)
    folder = _result_folder(out or Path(f"{file.stem}-md"), overwrite or resume)
    with tqdm(desc="md", total=steps, unit=" steps", disable=None) as progress:

        def show(record: DynamicsStep) -> None:
            progress.set_postfix_str(
                f"T {record.temperature_K:.0f} K, E {record.total_energy_eV:.3f} eV"
            )
            progress.update(record.step - progress.n)

        result = run_dynamics(
            atoms, calc, settings, trajectory=folder / TRAJECTORY, resume=resume, on_record=show
        )
    ase.io.write(folder / "last.extxyz", result.atoms)
    _finish(folder, file, calc, asdict(settings), result)
    if not result.completed:
        raise typer.Exit(1)  # the results are there, but a script must see it


def _result_folder(folder: Path, may_exist: bool) -> Path:
    from atomfm_calc.errors import DataError

    if (folder / TRAJECTORY).exists() and not may_exist:
        raise DataError(
            f"{folder} already holds a trajectory; pass --overwrite, another --out"
            ", or (md) --resume"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _finish(
    folder: Path,
    file: Path,
    calc: FoundationCalc,
    settings: dict[str, Any],
    result: RelaxResult | DynamicsResult,
) -> None:
    """Write what was done, with what, and print the result."""
    from rich.console import Console
    from rich.table import Table

    from atomfm_calc.workflows.result import result_to_dict

    numbers = result_to_dict(result)
    content = {
        "result": numbers,
        "settings": settings,
        "structure": str(file),
        "made_by": calc.fingerprint(),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / "result.json").write_text(text + "\n", encoding="utf-8")
    table = Table("result", str(folder))
    for name, value in numbers.items():
        if value is not None:
            table.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
    Console().print(table)
