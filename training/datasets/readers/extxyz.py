"""Extended XYZ, plain or gzip: the keys of the published files and those of ASE's calculators.

Labels are `REF_energy` (eV), `REF_forces` (eV/Å), `REF_stress` (3x3, nine or six numbers, eV/Å³,
tension positive). ASE moves `energy`, `forces` and `stress` out of `info` into a calculator; they
are taken from there if the `REF_` key is absent.
"""

from __future__ import annotations

import gzip
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.extxyz import read_xyz
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from training.datasets.readers.file_format import FileFormat, from_the_beginning

PREFIX = "REF_"
STRUCTURE_LABELS = ("energy", "stress")
ATOM_LABELS = ("forces",)


def read_extxyz(path: Path) -> Iterator[Sample]:
    """Samples of a file in its order; `source` is "file name#frame", counted from 0.

    Args:
        path: ends in `.gz` if compressed.

    Raises:
        DataError: no such file, or a record that cannot be read; names file and frame.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}; set data.root to the folder that holds it")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        # ASE seeks back and forth, which a compressed file answers by starting over
        frames = read_xyz(io.StringIO(file.read()), index=slice(None))
    for number in itertools.count():
        try:
            atoms = next(frames, None)
            if atoms is None:
                return
            sample = sample_from_atoms(atoms, _targets(atoms), f"{path.name}#{number}")
        except (ValueError, KeyError, IndexError, OSError) as error:
            raise DataError(f"{path}#{number} cannot be read: {error}") from error
        yield sample


def _targets(atoms: Atoms) -> dict[str, NDArray[np.float64]]:
    results: dict[str, Any] = atoms.calc.results if atoms.calc is not None else {}
    targets: dict[str, NDArray[np.float64]] = {}
    for names, stored in ((STRUCTURE_LABELS, atoms.info), (ATOM_LABELS, atoms.arrays)):
        for name in names:
            value = stored.get(PREFIX + name, results.get(name))
            if value is not None:
                targets[name] = np.asarray(value, dtype=np.float64)
    if "stress" in targets:
        targets["stress"] = _full_stress(targets["stress"])
    if "energy" in targets:
        targets["energy"] = targets["energy"].reshape(())
    return targets


def _full_stress(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    if stress.size == 6:
        return np.asarray(voigt_6_to_full_3x3_stress(stress.reshape(6)))
    return stress.reshape(3, 3)


def count_extxyz(path: Path) -> int:
    """Number of frames, from the lines that say how many atoms follow."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        frames = 0
        for line in file:
            if line.strip():
                frames += 1
                for _ in range(int(line) + 1):
                    next(file, None)
    return frames


EXTXYZ_FORMAT: FileFormat[Sample] = FileFormat(
    name="extended XYZ", records=from_the_beginning(read_extxyz), count=count_extxyz
)
