"""`atomfm run vibrations`, `neb`, `surface`, `adsorption`: molecules, paths, surfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import (
    CalculatorOptions,
    IndexOption,
    PreciseOptions,
    ResumableOptions,
    RunOptions,
    StructureFile,
)
from atomfm_calc.cli.run_folder import KEPT, TRAJECTORY, open_run

MaxForceOption = Annotated[float, typer.Option("--max-force", help="Limit, eV/Å.")]


def vibrations(
    file: StructureFile,
    displacement: Annotated[float, typer.Option(help="Of differences, Å.")] = 0.005,
    differences: Annotated[
        bool, typer.Option("--differences", help="Of forces, in place of second derivatives.")
    ] = False,
    relax_positions: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Relax first.")
    ] = True,
    max_force: MaxForceOption = 1e-3,
    index: IndexOption = -1,
    *,
    place: ResumableOptions,
    calculator: PreciseOptions,
) -> None:
    """Frequencies and zero-point energy of a molecule, or of the atoms that are not fixed."""
    from atomfm_calc.workflows.vibrations import VibrationSettings
    from atomfm_calc.workflows.vibrations import vibrations as vibrations_workflow

    settings = VibrationSettings(
        displacement=displacement,
        use_hessian=not differences,
        relax_positions=relax_positions,
        max_force=max_force,
    )
    with open_run("vibrations", [file], settings, place, calculator, index=index) as run:
        result = vibrations_workflow(run.atoms, run.calc, settings, keep=run.folder / KEPT)
        run.finish(result, {"relaxed.extxyz": result.atoms})


def neb(
    file: Annotated[Path, typer.Argument(help="First end of the path (its last structure).")],
    last: Annotated[Path, typer.Argument(help="Other end: same atoms, same order, same cell.")],
    images: Annotated[int, typer.Option(help="Between the ends.")] = 7,
    max_force: MaxForceOption = 0.03,
    max_steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 500,
    optimizer: Annotated[str, typer.Option(help="fire, lbfgs or bfgs.")] = "fire",
    relax_ends: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Relax the ends first.")
    ] = True,
    *,
    place: ResumableOptions,
    calculator: CalculatorOptions,
) -> None:
    """Barrier between two structures, by a nudged elastic band with climbing image."""
    from tqdm import tqdm

    from atomfm_calc.workflows.neb import NebSettings, NebStep, nudged_elastic_band

    settings = NebSettings(
        n_images=images,
        max_force=max_force,
        max_steps=max_steps,
        optimizer=optimizer,
        relax_ends=relax_ends,
    )
    n_calls = (images + 2) * (max_steps + 1)
    with (
        open_run("neb", [file, last], settings, place, calculator, n_calls=n_calls) as run,
        tqdm(desc="neb", unit=" steps", disable=None) as progress,
    ):

        def show(step: NebStep) -> None:
            progress.set_postfix_str(f"{step.barrier:.3f} eV, F {step.max_force:.3f} eV/Å")
            progress.update(step.n_steps - progress.n)

        result = nudged_elastic_band(
            *(*run.structures, run.calc, settings),
            trajectory=run.folder / TRAJECTORY,
            resume=run.resume,
            on_step=show,
        )
    run.finish(result, {"path.extxyz": list(result.images), "highest.extxyz": result.atoms})
    if not result.converged:
        raise typer.Exit(ExitStatus.FAILED)  # the results are there, but a script must see it


def surface(
    file: Annotated[Path, typer.Argument(help="Slab (its last structure).")],
    bulk: Annotated[Path, typer.Option("--bulk", help="The crystal it is cut of.")],
    max_force: MaxForceOption = 0.02,
    *,
    place: RunOptions,
    calculator: CalculatorOptions,
) -> None:
    """Surface energy of a slab."""
    from atomfm_calc.workflows.surfaces import SurfaceSettings, surface_energy

    settings = SurfaceSettings(max_force=max_force)
    with open_run("surface", [file, bulk], settings, place, calculator) as run:
        slab, crystal = run.structures
        result = surface_energy(slab, crystal, run.calc, settings)
        run.finish(result, {"relaxed.extxyz": result.atoms})


def adsorption(
    file: Annotated[Path, typer.Argument(help="Molecule on the slab (its last structure).")],
    slab: Annotated[Path, typer.Option("--slab", help="The slab alone, in the same cell.")],
    molecule: Annotated[Path, typer.Option("--molecule", help="The molecule alone.")],
    max_force: MaxForceOption = 0.02,
    *,
    place: RunOptions,
    calculator: CalculatorOptions,
) -> None:
    """Adsorption energy of a molecule on a slab."""
    from atomfm_calc.workflows.surfaces import SurfaceSettings, adsorption_energy

    settings = SurfaceSettings(max_force=max_force)
    with open_run("adsorption", [file, slab, molecule], settings, place, calculator) as run:
        together, alone, free = run.structures
        result = adsorption_energy(together, alone, free, run.calc, settings)
        run.finish(result, {"relaxed.extxyz": result.atoms})
