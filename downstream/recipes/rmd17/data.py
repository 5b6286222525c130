"""rMD17: ten molecules at 500 K, an .npz file each, kcal/mol; five published splits.

The authors ask not to train on more than 1000 structures: frames are correlated. Their splits name
1000 structures for training and 1000 for testing, the same numbers in every molecule; other frames
are not read. All molecules whose files are in the folder go into one head.

Sources: Christensen & von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020); arrays and
folders as in the archive rmd17.tar.bz2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from atomfm_calc.units import KCAL_PER_MOL
from downstream.readers.extxyz_values import read_potential
from downstream.readers.records import samples_of
from downstream.splits import Fold
from downstream.stand_in import STAND_INS, stand_in_path
from training.datasets.adapter import named_record

STAND_IN = f"{STAND_INS['hot-molecules']} (stand-in)"
MOLECULES = (
    "aspirin",
    "azobenzene",
    "benzene",
    "ethanol",
    "malonaldehyde",
    "naphthalene",
    "paracetamol",
    "salicylic",
    "toluene",
    "uracil",
)
"""As the files are called: rmd17_NAME.npz."""
ARRAYS = ("nuclear_charges", "coords", "energies", "forces")
N_SPLITS = 5


def read(folder: Path) -> Iterator[Sample]:
    """Frames of the published splits, molecule by molecule; `source` is "ethanol#12345".

    Raises:
        DataError: no file of a molecule or of a split, or one that cannot be read; names file and
            frame.
    """
    paths = [folder / "rmd17/npz_data" / f"rmd17_{molecule}.npz" for molecule in MOLECULES]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise DataError(f"there is no {paths[0]}, nor that of another molecule of rMD17")
    parts = [part for split in _splits(folder) for part in split]
    frames = np.unique(np.concatenate(parts))
    for path in found:
        yield from _frames(path, frames)


def read_folds(folder: Path, samples: Sequence[Sample]) -> tuple[Fold, ...]:
    """The five published splits, for the molecules that the samples are of."""
    molecules = sorted({sample.group for sample in samples})
    return tuple(
        Fold(
            name=f"split {number}",
            train=frozenset(f"{name}#{frame}" for name in molecules for frame in train),
            test=frozenset(f"{name}#{frame}" for name in molecules for frame in test),
        )
        for number, (train, test) in enumerate(_splits(folder), start=1)
    )


def read_stand_in() -> Iterator[Sample]:
    """Hot ethanol and malonaldehyde, Hartree-Fock in a small basis."""
    return read_potential(stand_in_path("hot-molecules"), ("energy", "forces"))


def _splits(folder: Path) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Numbers of the frames for training and testing, of each split."""
    splits = []
    for number in range(1, N_SPLITS + 1):
        parts = []
        for part in ("train", "test"):
            path = folder / "rmd17/splits" / f"index_{part}_{number:02d}.csv"
            with named_record(path, None):
                parts.append(np.array(path.read_text(encoding="utf-8").split(), dtype=np.int64))
        splits.append((parts[0], parts[1]))
    return splits


def _frames(path: Path, frames: NDArray[np.int64]) -> Iterator[Sample]:
    """Some frames of a molecule, by their numbers."""
    molecule = path.stem.removeprefix("rmd17_")

    def records(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
        with np.load(file) as archive:
            arrays = {name: archive[name] for name in ARRAYS}
        if frames.max() >= len(arrays["energies"]):
            raise DataError(
                f"a split names frame {frames.max()}, the file has {len(arrays['energies'])}"
            )
        for frame in frames:
            yield int(frame), arrays

    def sample_of(number: int, record: tuple[int, Mapping[str, Any]]) -> Sample:
        frame, arrays = record
        return Sample(
            atomic_numbers=arrays["nuclear_charges"].astype(np.int64),
            positions=arrays["coords"][frame].astype(np.float64),
            targets={
                "energy": np.asarray(arrays["energies"][frame] * KCAL_PER_MOL, dtype=np.float64),
                "forces": arrays["forces"][frame].astype(np.float64) * KCAL_PER_MOL,
            },
            source=f"{molecule}#{frame}",
            group=molecule,
        )

    return samples_of(path, records, sample_of)
