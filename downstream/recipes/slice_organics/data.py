"""Slice: conformers of small organic fragments (amons), energies and forces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_potential
from downstream.stand_in import STAND_INS, stand_in_path

FILE = "qml_amons_train.extxyz.gz"
LABELS = ("energy", "forces")
STAND_IN = f"{STAND_INS['hot-molecules']} (stand-in)"


def read(folder: Path) -> Iterator[Sample]:
    """Frames in the file's order."""
    return read_potential(folder / FILE, LABELS)


def read_stand_in() -> Iterator[Sample]:
    """Hot ethanol and malonaldehyde, HF/6-31G."""
    return read_potential(stand_in_path("hot-molecules"), LABELS)
