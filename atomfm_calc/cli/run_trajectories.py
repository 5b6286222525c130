"""`atomfm run rdf` and `diffusion`: what a finished trajectory tells; nothing is computed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomfm_calc.cli.options import OverwriteOption, read_structures
from atomfm_calc.cli.run_folder import FolderOption, JsonOption, finish, result_folder

TrajectoryFile = Annotated[Path, typer.Argument(help="Trajectory: traj, extxyz ...")]
FramesOption = Annotated[str, typer.Option("--frames", help="Which, as 200: or ::10.")]


def rdf(
    file: TrajectoryFile,
    elements: Annotated[
        tuple[str, str] | None, typer.Option(help="Center and neighbor, as O H; else all.")
    ] = None,
    max_distance: Annotated[float, typer.Option(help="Å")] = 8.0,
    bins: Annotated[int, typer.Option(help="Of equal width.")] = 200,
    frames: FramesOption = ":",
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Radial distribution function, mean over the frames of FILE."""
    from atomfm_calc.workflows.trajectories import RadialSettings, radial_distribution

    settings = RadialSettings(max_distance=max_distance, n_bins=bins, elements=elements)
    result = radial_distribution(read_structures(file, frames), settings)
    folder = result_folder(out, f"{file.stem}-rdf", overwrite=overwrite)
    finish(folder, "rdf", file, None, settings, result, as_json=json)


def diffusion(
    file: TrajectoryFile,
    frame_time_fs: Annotated[
        float | None,
        typer.Option("--frame-time-fs", help="Between frames; else as `atomfm run md` wrote it."),
    ] = None,
    frames: FramesOption = ":",
    out: FolderOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Diffusion coefficients of all elements of a trajectory of constant cell."""
    from atomfm_calc.workflows.trajectories import DiffusionSettings
    from atomfm_calc.workflows.trajectories import diffusion as diffusion_workflow

    settings = DiffusionSettings()
    structures = read_structures(file, frames)
    result = diffusion_workflow(structures, settings, frame_time_fs=frame_time_fs)
    folder = result_folder(out, f"{file.stem}-diffusion", overwrite=overwrite)
    finish(folder, "diffusion", file, None, settings, result, as_json=json)
