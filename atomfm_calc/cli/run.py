"""`atomfm run`: workflows on one structure; each leaves a folder with all that it did."""

from __future__ import annotations

from typing import Annotated

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
from atomfm_calc.cli.run_crystals import elastic, eos, phonons, quasi_harmonic
from atomfm_calc.cli.run_folder import (
    TRAJECTORY,
    FolderOption,
    JsonOption,
    ResumeOption,
    finish,
    load_calculator,
    result_folder,
)
from atomfm_calc.cli.run_molecules import adsorption, neb, surface, vibrations
from atomfm_calc.cli.run_trajectories import diffusion, rdf


def relax(
    file: StructureFile,
    cell: Annotated[str, typer.Option(help="fixed, full or volume.")] = "fixed",
    max_force: Annotated[float, typer.Option(help="Limit, eV/Å.")] = 0.02,
    max_steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 500,
    optimizer: Annotated[str, typer.Option(help="fire, lbfgs or bfgs.")] = "lbfgs",
    pressure_gpa: Annotated[float, typer.Option("--pressure-GPa", help="With a free cell.")] = 0.0,
    keep_symmetry: Annotated[
        bool, typer.Option("--keep-symmetry", help="Keep the space group.")
    ] = False,
    index: IndexOption = -1,
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    json: JsonOption = False,
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
    from tqdm import tqdm

    from atomfm_calc.workflows.relax import RelaxSettings, RelaxStep
    from atomfm_calc.workflows.relax import relax as relax_workflow

    settings = RelaxSettings(
        cell=cell,
        optimizer=optimizer,
        max_force=max_force,
        max_steps=max_steps,
        pressure_GPa=pressure_gpa,
        keep_symmetry=keep_symmetry,
    )
    (atoms,) = read_structures(file, str(index))
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = load_calculator(model, chosen)
    folder = result_folder(out, f"{file.stem}-relax", overwrite=overwrite, resume=resume)
    with tqdm(desc="relax", unit=" steps", disable=None) as progress:

        def show(step: RelaxStep) -> None:
            progress.set_postfix_str(f"E {step.energy:.4f} eV, F {step.max_force:.3f} eV/Å")
            progress.update(step.n_steps - progress.n)

        result = relax_workflow(
            atoms, calc, settings, trajectory=folder / TRAJECTORY, resume=resume, on_step=show
        )
    found = {"relaxed.extxyz": result.atoms}
    finish(folder, "relax", file, calc, settings, result, structures=found, as_json=json)
    if not result.converged:
        raise typer.Exit(1)


def md(
    file: StructureFile,
    ensemble: Annotated[
        str,
        typer.Option(help="nve, nvt-langevin, nvt-bussi, nvt-nose-hoover, npt-mtk, npt-berendsen."),
    ] = "nvt-langevin",
    temperature_k: Annotated[float, typer.Option("--temperature-K", help="Kelvin.")] = 300.0,
    pressure_gpa: Annotated[float, typer.Option("--pressure-GPa", help="With npt.")] = 0.0,
    timestep_fs: Annotated[float, typer.Option("--timestep-fs", help="Femtoseconds.")] = 1.0,
    steps: Annotated[int, typer.Option(help="In all, also with --resume.")] = 1000,
    record_every: Annotated[int, typer.Option(help="Steps between records.")] = 10,
    seed: Annotated[int, typer.Option(help="Of velocities and thermostat.")] = 0,
    index: IndexOption = -1,
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    json: JsonOption = False,
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
    from tqdm import tqdm

    from atomfm_calc.workflows.course import DynamicsStep
    from atomfm_calc.workflows.dynamics import DynamicsSettings, run_dynamics

    settings = DynamicsSettings(
        ensemble=ensemble,
        temperature_K=temperature_k,
        pressure_GPa=pressure_gpa,
        timestep_fs=timestep_fs,
        n_steps=steps,
        record_every=record_every,
        seed=seed,
    )
    (atoms,) = read_structures(file, str(index))
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = load_calculator(model, chosen)
    folder = result_folder(out, f"{file.stem}-md", overwrite=overwrite, resume=resume)
    with tqdm(desc="md", total=steps, unit=" steps", disable=None) as progress:

        def show(record: DynamicsStep) -> None:
            progress.set_postfix_str(
                f"T {record.temperature_K:.0f} K, E {record.total_energy_eV:.3f} eV"
            )
            progress.update(record.step - progress.n)

        result = run_dynamics(
            atoms, calc, settings, trajectory=folder / TRAJECTORY, resume=resume, on_record=show
        )
    found = {"last.extxyz": result.atoms}
    finish(folder, "md", file, calc, settings, result, structures=found, as_json=json)
    if not result.completed:
        raise typer.Exit(1)  # the results are there, but a script must see it


run_app = typer.Typer(help="Workflows on a structure.", no_args_is_help=True)
run_app.command()(relax)
run_app.command()(md)
run_app.command()(eos)
run_app.command()(elastic)
run_app.command()(phonons)
run_app.command()(quasi_harmonic)
run_app.command()(vibrations)
run_app.command()(neb)
run_app.command()(surface)
run_app.command()(adsorption)
run_app.command()(rdf)
run_app.command()(diffusion)
