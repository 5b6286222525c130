"""Files that hold one structure in a format of ASE: CIF, POSCAR and others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import ase.io
from ase import Atoms

from atomfm_calc.screening.readers.record import Broken, Record, plain


class SingleFile:
    """One structure; it is read when it is asked for."""

    n_records = 1

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The one record."""
        if start == 0 and stop > 0:
            yield Record(name="", content=self._parse())

    def _parse(self) -> Atoms | Broken:
        try:
            with warnings.catch_warnings():  # about spellings of space groups
                warnings.simplefilter("ignore")
                found = list(ase.io.iread(self.path, index=":"))
        except Exception as error:  # ASE's readers raise whatever they stumble on
            return Broken("unreadable", plain(error))
        if len(found) != 1:
            return Broken(
                "unreadable", f"the file holds {len(found)} structures; give one per file"
            )
        return found[0]
