"""`atomfm run`: workflows on one structure; each leaves a folder with all that it did."""

from __future__ import annotations

from typing import Annotated

import typer

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import (
    CalculatorOptions,
    IndexOption,
    PressureOption,
    ResumableOptions,
    StructureFile,
    TemperatureOption,
    TimestepOption,
    with_options,
)
from atomfm_calc.cli.run_crystals import elastic, eos, phonons, quasi_harmonic
from atomfm_calc.cli.run_folder import TRAJECTORY, open_run
from atomfm_calc.cli.run_molecules import adsorption, neb, surface, vibrations
from atomfm_calc.cli.run_trajectories import diffusion, rdf


def relax(
    file: StructureFile,
    cell: Annotated[str, typer.Option(help="fixed, full or volume.")] = "fixed",
    max_force: Annotated[float, typer.Option(help="Limit, eV/Å.")] = 0.02,
    max_steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 500,
    optimizer: Annotated[str, typer.Option(help="fire, lbfgs or bfgs.")] = "lbfgs",
    pressure_gpa: PressureOption = 0.0,
    keep_symmetry: Annotated[
        bool, typer.Option("--keep-symmetry", help="Keep the space group.")
    ] = False,
    index: IndexOption = -1,
    *,
    place: ResumableOptions,
    calculator: CalculatorOptions,
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
    with (
        open_run(
            "relax", [file], settings, place, calculator, index=index, n_calls=max_steps + 1
        ) as run,
        tqdm(desc="relax", unit=" steps", disable=None) as progress,
    ):

        def show(step: RelaxStep) -> None:
            progress.set_postfix_str(f"E {step.energy:.4f} eV, F {step.max_force:.3f} eV/Å")
            progress.update(step.n_steps - progress.n)

        result = relax_workflow(
            *(run.atoms, run.calc, settings),
            trajectory=run.folder / TRAJECTORY,
            resume=run.resume,
            on_step=show,
        )
    run.finish(result, {"relaxed.extxyz": result.atoms})
    if not result.converged:
        raise typer.Exit(ExitStatus.FAILED)  # the results are there, but a script must see it


def md(
    file: StructureFile,
    ensemble: Annotated[
        str,
        typer.Option(help="nve, nvt-langevin, nvt-bussi, nvt-nose-hoover, npt-mtk, npt-berendsen."),
    ] = "nvt-langevin",
    temperature_k: TemperatureOption = 300.0,
    pressure_gpa: PressureOption = 0.0,
    timestep_fs: TimestepOption = 1.0,
    steps: Annotated[int, typer.Option(help="In all, also with --resume.")] = 1000,
    record_every: Annotated[int, typer.Option(help="Steps between records.")] = 10,
    seed: Annotated[int, typer.Option(help="Of velocities and thermostat.")] = 0,
    index: IndexOption = -1,
    *,
    place: ResumableOptions,
    calculator: CalculatorOptions,
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
    with (
        open_run("md", [file], settings, place, calculator, index=index, n_calls=steps + 1) as run,
        tqdm(desc="md", total=steps, unit=" steps", disable=None) as progress,
    ):

        def show(record: DynamicsStep) -> None:
            progress.set_postfix_str(
                f"T {record.temperature_K:.0f} K, E {record.total_energy_eV:.3f} eV"
            )
            progress.update(record.step - progress.n)

        result = run_dynamics(
            *(run.atoms, run.calc, settings),
            trajectory=run.folder / TRAJECTORY,
            resume=run.resume,
            on_record=show,
        )
    run.finish(result, {"last.extxyz": result.atoms})
    if not result.completed:
        raise typer.Exit(ExitStatus.FAILED)  # the results are there, but a script must see it


run_app = typer.Typer(help="Workflows on a structure.", no_args_is_help=True)
run_app.command()(with_options(relax))
run_app.command()(with_options(md))
run_app.command()(with_options(eos))
run_app.command()(with_options(elastic))
run_app.command()(with_options(phonons))
run_app.command()(with_options(quasi_harmonic))
run_app.command()(with_options(vibrations))
run_app.command()(with_options(neb))
run_app.command()(with_options(surface))
run_app.command()(with_options(adsorption))
run_app.command()(with_options(rdf))
run_app.command()(with_options(diffusion))
