"""Extended XYZ frame by frame, plain or compressed, alone or with a text file beside it.

A file may be larger than memory: frames before the first one wanted are counted, not parsed.
"""

from __future__ import annotations

import gzip
import io
import itertools
import lzma
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from ase.io.extxyz import read_xyz

from atomfm_calc.errors import DataError
from training.datasets.readers.file_format import FileFormat
from training.datasets.readers.frame import Frame, frame_of_atoms

OPENERS: dict[str, Callable[..., IO[str]]] = {".xz": lzma.open, ".gz": gzip.open}
"""By the last ending; every other file is plain text."""


def read_frames(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Frames of a file in its order."""
    with _open(path) as file:
        for text in _frame_texts(file, start, stop):
            (atoms,) = read_xyz(io.StringIO(text), index=slice(None))
            yield frame_of_atoms(atoms, path)


def count_frames(path: Path) -> int:
    """Number of frames, from the lines that say how many atoms follow."""
    with _open(path) as file:
        return sum(1 for _ in _frame_texts(file, 0, None))


def read_systems(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
    """Frames of OC20: `N.extxyz.xz` with `N.txt.xz` beside it.

    Line i of the text file is "system,frame,reference energy" of frame i. They are added to
    `info` as `system` and `frame`, as written ("random2181546", "frame12"), and
    `reference_energy` in eV.
    """
    lines = _system_lines(path)
    stop = len(lines) if stop is None else min(stop, len(lines))
    found = start
    for frame, line in zip(read_frames(path, start, stop), lines[start:stop], strict=False):
        system, number, reference = line.split(",")
        info = {"system": system, "frame": number, "reference_energy": float(reference)}
        yield replace(frame, info={**frame.info, **info})
        found += 1
    if found < stop:
        raise DataError(f"the file ends after {found} frames; its text file has {len(lines)} lines")


def count_systems(path: Path) -> int:
    """Number of lines of the text file; the source guarantees as many frames."""
    return len(_system_lines(path))


def _system_lines(path: Path) -> list[str]:
    beside = path.with_name(path.name.replace(".extxyz", ".txt"))
    if not beside.is_file():
        raise DataError(f"the text file that belongs to it is missing: {beside}")
    with _open(beside) as file:
        return [line.strip() for line in file if line.strip()]


def _open(path: Path) -> IO[Any]:
    return OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8")


def _frame_texts(file: IO[str], start: int, stop: int | None) -> Iterator[str]:
    for number in itertools.count():
        if stop is not None and number >= stop:
            return
        first = next((line for line in file if line.strip()), None)
        if first is None:
            return
        if not first.strip().isdecimal():
            raise DataError(f"frame {number} begins with {first.strip()[:60]!r}, not its atoms")
        lines = list(itertools.islice(file, int(first) + 1))
        if len(lines) < int(first) + 1:
            raise DataError(f"the file ends in frame {number}, which has {first.strip()} atoms")
        if number >= start:
            yield "".join((first, *lines))


EXTXYZ_FRAMES: FileFormat[Frame] = FileFormat(
    name="extended XYZ", records=read_frames, count=count_frames
)
EXTXYZ_SYSTEMS: FileFormat[Frame] = FileFormat(
    name="extended XYZ and a text file of systems", records=read_systems, count=count_systems
)
