"""MS25: six systems of materials science, ASE trajectories, published training and test files.

The folder is that of one system, such as MS25/HEA: functionals and programs differ between systems,
so each gets a head of its own. It holds set1/train-1000.traj or set1/train.traj, set1/val.traj and
set1/test.traj. Frames carry a calculator with energy and forces in eV; those of water and zeolite
(H2O-64, H2O-192, CHA) have no calculator but an energy `E` in hartree, and are read without forces.

Layout and units are those that the fine-tuning scripts of HydraGNN read
(github.com/ORNL/HydraGNN_GFM_FineTuning4Materials, examples/ms25); the files were not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from ase.units import Hartree

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_potential
from downstream.readers.records import samples_of
from downstream.splits import Fold
from downstream.stand_in import STAND_INS, stand_in_path
from training.datasets.readers.rows import Row, read_rows

STAND_IN = f"{STAND_INS['disordered-alloy']} (stand-in)"
TRAINING = ("train-1000.traj", "train.traj")
"""The first that is there; the second is the larger one of some systems."""
VALIDATION, TEST = "val.traj", "test.traj"
FOLDER = "set1"


def read(folder: Path) -> Iterator[Sample]:
    """Frames of the published training, validation and test files of a system, in this order.

    `source` is "test.traj#12".

    Raises:
        DataError: a file is missing or a frame cannot be read; names file and frame.
    """
    for path in _files(folder):
        yield from samples_of(path, read_rows, partial(_sample, path))


def read_folds(folder: Path, samples: Sequence[Sample]) -> tuple[Fold, ...]:
    """The published division; training and validation files are both for training."""
    sources = frozenset(sample.source for sample in samples)
    test = frozenset(source for source in sources if source.startswith(f"{TEST}#"))
    return (Fold(name="published", train=sources - test, test=test),)


def read_stand_in() -> Iterator[Sample]:
    """A disordered alloy of six metals by effective medium theory."""
    return read_potential(stand_in_path("disordered-alloy"), ("energy", "forces"))


def _files(folder: Path) -> list[Path]:
    inside = folder / FOLDER
    training = [inside / name for name in TRAINING if (inside / name).is_file()][:1]
    others = [inside / name for name in (VALIDATION, TEST) if (inside / name).is_file()]
    if not training or inside / TEST not in others:
        raise DataError(
            f"{folder} is no system of MS25: {FOLDER} needs one of {listing(TRAINING)}, "
            f"and {TEST}; give the folder of one system, such as MS25/HEA"
        )
    return [*training, *others]


def _sample(path: Path, number: int, row: Row) -> Sample:
    if row.structure is None:
        raise DataError(row.problem)
    values = row.values
    targets = {}
    if "energy" in values:
        targets["energy"] = np.asarray(values["energy"], dtype=np.float64).reshape(())
    elif "E" in values:
        targets["energy"] = np.asarray(float(values["E"]) * Hartree)
    else:
        raise DataError(f"it has neither a calculator's energy nor E; it has {listing(values)}")
    if "forces" in values:
        targets["forces"] = np.asarray(values["forces"], dtype=np.float64)
    return replace(row.structure, targets=targets, source=f"{path.name}#{number}")
