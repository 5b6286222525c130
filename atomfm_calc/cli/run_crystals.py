"""`atomfm run eos`, `elastic`, `phonons`, `quasi-harmonic`: workflows on crystals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from atomfm_calc.cli.options import (
    IndexOption,
    PreciseOptions,
    ResumableOptions,
    StructureFile,
)
from atomfm_calc.cli.run_folder import KEPT, open_run


@dataclass(frozen=True, kw_only=True)
class CrystalOptions:
    """Which crystal, and whether it is relaxed first."""

    relax_cell: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Relax positions and cell first.")
    ] = True
    """Positions and cell."""
    index: IndexOption = -1
    """Of the file."""


@dataclass(frozen=True, kw_only=True)
class SupercellOptions(CrystalOptions):
    """The same, with the supercell in which atoms are displaced."""

    supercell: Annotated[
        tuple[int, int, int] | None,
        typer.Option("--supercell", help="Repetitions of the cell; else by --min-length."),
    ] = None
    """Repetitions; None: by `min_length`."""
    min_length: Annotated[
        float, typer.Option("--min-length", help="Least width of the supercell, Å.")
    ] = 12.0
    """Å"""


def eos(
    file: StructureFile,
    equation: Annotated[
        str, typer.Option(help="birch-murnaghan, murnaghan, birch, poirier-tarantola, vinet.")
    ] = "birch-murnaghan",
    points: Annotated[int, typer.Option(help="Volumes.")] = 11,
    volume_range: Annotated[float, typer.Option(help="To either side, part of it.")] = 0.08,
    relax_positions: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Relax the atoms at each volume.")
    ] = True,
    index: IndexOption = -1,
    *,
    place: ResumableOptions,
    calculator: PreciseOptions,
) -> None:
    """Fit an equation of state: equilibrium volume and bulk modulus of a crystal."""
    from atomfm_calc.workflows.equation_of_state import EquationOfStateSettings, equation_of_state

    settings = EquationOfStateSettings(
        equation=equation,
        n_points=points,
        volume_range=volume_range,
        relax_positions=relax_positions,
    )
    with open_run("eos", [file], settings, place, calculator, index=index, crystal=True) as run:
        result = equation_of_state(run.atoms, run.calc, settings, keep=run.folder / KEPT)
        run.finish(result, {"equilibrium.extxyz": result.atoms})


def elastic(
    file: StructureFile,
    max_strain: Annotated[float, typer.Option(help="Largest strain.")] = 0.005,
    strains: Annotated[int, typer.Option(help="Of each of the six kinds.")] = 4,
    clamped: Annotated[
        bool, typer.Option("--clamped", help="Do not relax the atoms in the strained cell.")
    ] = False,
    max_force: Annotated[float, typer.Option(help="Limit of relaxations, eV/Å.")] = 1e-3,
    *,
    crystal: CrystalOptions,
    place: ResumableOptions,
    calculator: PreciseOptions,
) -> None:
    """Elastic constants, moduli and stability of a crystal."""
    from atomfm_calc.packages import require

    require("matscipy")
    from atomfm_calc.workflows.elastic import ElasticSettings, elastic_constants

    settings = ElasticSettings(
        max_strain=max_strain,
        n_strains=strains,
        relax_cell=crystal.relax_cell,
        relax_positions=not clamped,
        max_force=max_force,
    )
    with open_run(
        "elastic", [file], settings, place, calculator, index=crystal.index, crystal=True
    ) as run:
        result = elastic_constants(run.atoms, run.calc, settings, keep=run.folder / KEPT)
        run.finish(result, {"relaxed.extxyz": result.atoms})


def phonons(
    file: StructureFile,
    displacement: Annotated[float, typer.Option(help="Å")] = 0.01,
    *,
    crystal: SupercellOptions,
    place: ResumableOptions,
    calculator: PreciseOptions,
) -> None:
    """Phonon bands, density of states, free energy and heat capacity of a crystal."""
    from atomfm_calc.packages import require

    require("phonopy")
    from atomfm_calc.workflows.phonons import PhononSettings
    from atomfm_calc.workflows.phonons import phonons as phonons_workflow

    settings = PhononSettings(
        supercell=crystal.supercell,
        min_length=crystal.min_length,
        displacement=displacement,
        relax_cell=crystal.relax_cell,
    )
    with open_run(
        "phonons", [file], settings, place, calculator, index=crystal.index, crystal=True
    ) as run:
        result = phonons_workflow(run.atoms, run.calc, settings, keep=run.folder / KEPT)
        run.finish(result, {"relaxed.extxyz": result.atoms, "primitive.extxyz": result.primitive})


def quasi_harmonic(
    file: StructureFile,
    points: Annotated[int, typer.Option(help="Volumes.")] = 7,
    compression: Annotated[float, typer.Option(help="Of the volume, part of it.")] = 0.03,
    expansion: Annotated[float, typer.Option(help="Of the volume, part of it.")] = 0.08,
    max_temperature_k: Annotated[float, typer.Option("--max-temperature-K")] = 1000.0,
    *,
    crystal: SupercellOptions,
    place: ResumableOptions,
    calculator: PreciseOptions,
) -> None:
    """Thermal expansion of a crystal from phonons at several volumes."""
    from atomfm_calc.packages import require

    require("phonopy")
    from atomfm_calc.workflows.phonons import PhononSettings
    from atomfm_calc.workflows.quasi_harmonic import QuasiHarmonicSettings
    from atomfm_calc.workflows.quasi_harmonic import quasi_harmonic as quasi_harmonic_workflow

    settings = QuasiHarmonicSettings(
        phonons=PhononSettings(
            supercell=crystal.supercell,
            min_length=crystal.min_length,
            relax_cell=crystal.relax_cell,
            temperatures_K=tuple(max_temperature_k * step / 20 for step in range(21)),
        ),
        n_points=points,
        compression=compression,
        expansion=expansion,
    )
    with open_run(
        "quasi-harmonic", [file], settings, place, calculator, index=crystal.index, crystal=True
    ) as run:
        result = quasi_harmonic_workflow(run.atoms, run.calc, settings, keep=run.folder)
        run.finish(result, {"relaxed.extxyz": result.atoms})
