"""Slice: orbital energies of 340 molecules of QM9, from two packaged subsets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.stand_in import STAND_INS, stand_in_path

FILES = ("qm9_reduced_100.extxyz.gz", "qm9_deepmd_subset.extxyz.gz")
COLUMNS = {"homo": "homo_eV", "lumo": "lumo_eV", "gap": "homo_lumo_gap_eV"}
"""Target -> its name in the files."""
STAND_IN = f"{STAND_INS['molecules']} (stand-in)"


def read(folder: Path) -> Iterator[Sample]:
    """Molecules of both files, in their order."""
    for name in FILES:
        yield from read_values(folder / name, COLUMNS)


def read_stand_in() -> Iterator[Sample]:
    """Small organic molecules, GFN1-xTB."""
    return read_values(stand_in_path("molecules"), {name: name for name in COLUMNS})
