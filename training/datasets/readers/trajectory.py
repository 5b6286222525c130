"""ASE trajectories (`.traj`): frames of one run, from any frame on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ase.io.trajectory import TrajectoryReader

from training.datasets.readers.file_format import FileFormat
from training.datasets.readers.frame import Frame, frame_of_atoms


def read_trajectory(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Frames of a file in its order; the format is JSON and arrays, there is no pickle in it."""
    with closing(TrajectoryReader(path)) as trajectory:
        for number in range(len(trajectory))[start:stop]:
            yield frame_of_atoms(trajectory[number], path)


def count_trajectory(path: Path) -> int:
    """Number of frames."""
    with closing(TrajectoryReader(path)) as trajectory:
        return len(trajectory)


TRAJECTORY: FileFormat[Frame] = FileFormat(
    name="ASE trajectory", records=read_trajectory, count=count_trajectory
)
