"""Slice: bulk moduli of binary crystals of Materials Project, log10 of GPa."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.stand_in import STAND_INS, stand_in_path

FILE = "matcalc_mp_binary_elasticity_train.extxyz.gz"
COLUMNS = {"log_kvrh": "log10_bulk_modulus_vrh"}
"""Target -> its name in the file."""
STAND_IN = f"{STAND_INS['alloys']} (stand-in)"


def read(folder: Path) -> Iterator[Sample]:
    """Structures in the file's order, without those that have no value."""
    return read_values(folder / FILE, COLUMNS)


def read_stand_in() -> Iterator[Sample]:
    """Ordered alloys by effective medium theory."""
    return read_values(stand_in_path("alloys"), {name: name for name in COLUMNS})
