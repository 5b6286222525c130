"""Extended XYZ, plain or compressed, frame by frame; damage costs the frames it touches, no more.

A frame that breaks off is one record ("truncated"), whether the file ends or the next frame begins.
Lines between frames that are none are one record ("unreadable") up to the next frame.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ase import Atoms
from ase.data import atomic_numbers
from ase.io.extxyz import read_extxyz

from atomfm_calc.screening.readers.record import Broken, Record, plain

COUNT = re.compile(r"\s*\d+\s*")
"""The first line of a frame."""
HEADER = re.compile(r".*(Properties|Lattice|pbc)\s*=")
"""Its second line, where the first alone could be part of something else."""


class Frame(NamedTuple):
    """The text of a frame, or why there is none."""

    text: str
    broken: Broken | None


class _Lines:
    """Lines of a file, with two that can be looked at beforehand."""

    def __init__(self, path: Path) -> None:
        opener = gzip.open if path.suffix == ".gz" else open
        opened = opener(path, "rb")
        self._file = io.TextIOWrapper(opened, encoding="utf-8", errors="replace")
        self._ahead: list[str] = []
        self._has_ended = False
        self.damage: str | None = None
        """Why there are no more lines, if it is not that the file ends."""

    def peek(self, place: int) -> str | None:
        while len(self._ahead) <= place:
            line = "" if self._has_ended else self._read()
            if not line:
                return None
            self._ahead.append(line)
        return self._ahead[place]

    def _read(self) -> str:
        try:
            line = self._file.readline()
        except (EOFError, OSError, zlib.error) as error:
            self.damage, line = plain(error), ""
        self._has_ended = not line
        return line

    def take(self) -> str | None:
        line = self.peek(0)
        if line is not None:
            self._ahead.pop(0)
        return line

    def at_frame(self) -> bool:
        """Whether the next two lines can only be the beginning of a frame."""
        first, second = self.peek(0), self.peek(1)
        if first is None or second is None:
            return False
        return bool(COUNT.fullmatch(first) and HEADER.match(second))

    def close(self) -> None:
        self._file.close()


def split_frames(path: Path) -> Iterator[Frame]:
    """The frames of a file, in order, without reading what is in them."""
    lines = _Lines(path)
    try:
        while (line := lines.peek(0)) is not None:
            if not line.strip():
                lines.take()
            elif COUNT.fullmatch(line):
                yield _frame(lines)
            else:
                yield _garbage(lines)
        if lines.damage is not None:
            yield Frame("", Broken("truncated", lines.damage))
    finally:
        lines.close()


def _frame(lines: _Lines) -> Frame:
    n_atoms = int(lines.take() or 0)
    comment = lines.take()
    if comment is None:
        lines.damage = None
        return Frame(
            "", Broken("truncated", f"the file ends behind the number of atoms, {n_atoms}")
        )
    body: list[str] = []
    for place in range(n_atoms):
        ends = lines.peek(0) is None
        if ends or (COUNT.fullmatch(lines.peek(0) or "") and lines.at_frame()):
            lines.damage = None
            where = "the file ends" if ends else "the next frame begins"
            return Frame("", Broken("truncated", f"{where} after {place} of {n_atoms} atoms"))
        body.append(lines.take() or "")
    return Frame(f"{n_atoms}\n{comment.rstrip()}\n{''.join(body)}", None)


def _garbage(lines: _Lines) -> Frame:
    first, n_lines = (lines.take() or "").strip()[:60], 1
    while lines.peek(0) is not None and not lines.at_frame():
        lines.take()
        n_lines += 1
    detail = f"{n_lines} lines are no frame; the first is {first!r}"
    return Frame("", Broken("unreadable", detail))


class ExtxyzFile:
    """An open file of frames; reading on is fast, going back starts again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_records = sum(1 for _ in split_frames(path)) or 1
        self._frames = split_frames(path)
        self._place = 0

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The frames of a range, in order."""
        if start < self._place:
            self._frames, self._place = split_frames(self.path), 0
        while self._place < stop:
            frame = next(self._frames, Frame("", Broken("unreadable", "the file is empty")))
            place, self._place = self._place, self._place + 1
            if place >= start:
                yield Record(name=f"#{place}", content=frame.broken or parse_frame(frame.text))


def parse_frame(text: str) -> Atoms | Broken:
    """The structure of a complete frame."""
    if text.startswith("0\n"):
        return Atoms()
    try:
        return next(iter(read_extxyz(io.StringIO(text), index=0)))
    except Exception as error:  # ASE's readers raise whatever they stumble on
        symbols = [line.split()[0] for line in text.splitlines()[2:] if line.split()]
        unknown = [name for name in symbols if name.isalpha() and name not in atomic_numbers]
        if isinstance(error, KeyError) and unknown:
            return Broken("unknown-element", f"there is no element {unknown[0]!r}")
        return Broken("unreadable", plain(error))
