"""`atomfm run vibrations`, `neb`, `surface`, `adsorption`: molecules, paths, surfaces."""

from __future__ import annotations

from pathlib import Path
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
from atomfm_calc.cli.run_folder import (
    KEPT,
    TRAJECTORY,
    FolderOption,
    JsonOption,
    PreciseOption,
    ResumeOption,
    finish,
    load_calculator,
    result_folder,
)

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
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    json: JsonOption = False,
    model: ModelOption = DEFAULT_MODEL,
    head: HeadOption = None,
    device: DeviceOption = "auto",
    dtype: PreciseOption = "float64",
    matmul_precision: PrecisionOption = "highest",
    charge: ChargeOption = None,
    multiplicity: MultiplicityOption = None,
    allow_unseen_elements: UnseenOption = False,
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
    (atoms,) = read_structures(file, str(index))
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = load_calculator(model, chosen)
    folder = result_folder(out, f"{file.stem}-vibrations", overwrite=overwrite, resume=resume)
    result = vibrations_workflow(atoms, calc, settings, keep=folder / KEPT)
    found = {"relaxed.extxyz": result.atoms}
    finish(folder, "vibrations", file, calc, settings, result, structures=found, as_json=json)


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
    ends = [read_structures(one, "-1")[0] for one in (file, last)]
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = load_calculator(model, chosen)
    folder = result_folder(out, f"{file.stem}-neb", overwrite=overwrite, resume=resume)
    with tqdm(desc="neb", unit=" steps", disable=None) as progress:

        def show(step: NebStep) -> None:
            progress.set_postfix_str(f"{step.barrier:.3f} eV, F {step.max_force:.3f} eV/Å")
            progress.update(step.n_steps - progress.n)

        result = nudged_elastic_band(
            *(*ends, calc, settings),
            trajectory=folder / TRAJECTORY,
            resume=resume,
            on_step=show,
        )
    found = {"path.extxyz": list(result.images), "highest.extxyz": result.atoms}
    files = [file, last]
    finish(folder, "neb", files, calc, settings, result, structures=found, as_json=json)
    if not result.converged:
        raise typer.Exit(1)  # the results are there, but a script must see it


def surface(
    file: Annotated[Path, typer.Argument(help="Slab (its last structure).")],
    bulk: Annotated[Path, typer.Option("--bulk", help="The crystal it is cut of.")],
    max_force: MaxForceOption = 0.02,
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
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
    """Surface energy of a slab."""
    from atomfm_calc.workflows.surfaces import SurfaceSettings, surface_energy

    settings = SurfaceSettings(max_force=max_force)
    slab, crystal = (read_structures(one, "-1")[0] for one in (file, bulk))
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = load_calculator(model, chosen)
    folder = result_folder(out, f"{file.stem}-surface", overwrite=overwrite)
    result = surface_energy(slab, crystal, calc, settings)
    found = {"relaxed.extxyz": result.atoms}
    files = [file, bulk]
    finish(folder, "surface", files, calc, settings, result, structures=found, as_json=json)


def adsorption(
    file: Annotated[Path, typer.Argument(help="Molecule on the slab (its last structure).")],
    slab: Annotated[Path, typer.Option("--slab", help="The slab alone, in the same cell.")],
    molecule: Annotated[Path, typer.Option("--molecule", help="The molecule alone.")],
    max_force: MaxForceOption = 0.02,
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
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
    """Adsorption energy of a molecule on a slab."""
    from atomfm_calc.workflows.surfaces import SurfaceSettings, adsorption_energy

    settings = SurfaceSettings(max_force=max_force)
    files = [file, slab, molecule]
    together, alone, free = (read_structures(one, "-1")[0] for one in files)
    chosen = settings_from_options(
        head, device, dtype, matmul_precision, charge, multiplicity, allow_unseen_elements
    )
    calc = load_calculator(model, chosen)
    folder = result_folder(out, f"{file.stem}-adsorption", overwrite=overwrite)
    result = adsorption_energy(together, alone, free, calc, settings)
    found = {"relaxed.extxyz": result.atoms}
    finish(folder, "adsorption", files, calc, settings, result, structures=found, as_json=json)
