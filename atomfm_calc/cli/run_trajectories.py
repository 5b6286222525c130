"""`atomfm run rdf` and `diffusion`: what a finished trajectory tells; nothing is computed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atomfm_calc.cli.options import FolderOptions
from atomfm_calc.cli.run_folder import open_run

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
    *,
    place: FolderOptions,
) -> None:
    """Radial distribution function, mean over the frames of FILE."""
    from atomfm_calc.workflows.trajectories import RadialSettings, radial_distribution

    settings = RadialSettings(max_distance=max_distance, n_bins=bins, elements=elements)
    with open_run("rdf", [file], settings, place, index=frames) as run:
        run.finish(radial_distribution(run.structures, settings))


def diffusion(
    file: TrajectoryFile,
    frame_time_fs: Annotated[
        float | None,
        typer.Option("--frame-time-fs", help="Between frames; else as `atomfm run md` wrote it."),
    ] = None,
    frames: FramesOption = ":",
    *,
    place: FolderOptions,
) -> None:
    """Diffusion coefficients of all elements of a trajectory of constant cell."""
    from atomfm_calc.workflows.trajectories import DiffusionSettings
    from atomfm_calc.workflows.trajectories import diffusion as diffusion_workflow

    settings = DiffusionSettings()
    with open_run("diffusion", [file], settings, place, index=frames) as run:
        run.finish(diffusion_workflow(run.structures, settings, frame_time_fs=frame_time_fs))
