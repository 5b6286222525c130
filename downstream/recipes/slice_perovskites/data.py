"""Slice: perovskites of the validation part of CDVAE, a part of those of Matbench."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.stand_in import STAND_INS, stand_in_path

FILE = "cdvae_perov5_val.extxyz.gz"
COLUMNS = {"formation_energy": "heat_of_formation_ref_eV_per_cell"}
"""Target -> its name in the file."""
STAND_IN = f"{STAND_INS['perovskites']} (stand-in)"


def read(folder: Path) -> Iterator[Sample]:
    """Structures in the file's order, without those that have no value."""
    return read_values(folder / FILE, COLUMNS)


def read_stand_in() -> Iterator[Sample]:
    """Cubic ABX3 with the energy of the cell from isolated atoms, GFN1-xTB."""
    return read_values(
        stand_in_path("perovskites"),
        {name: name for name in COLUMNS},
        factors={"formation_energy": 5.0},
    )
