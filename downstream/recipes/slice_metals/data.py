"""Slice: gold in clusters and bulk, PBE energies and forces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_potential
from downstream.stand_in import STAND_INS, stand_in_path

FILE = "fairchem_au_clusters.extxyz.gz"
LABELS = ("energy", "forces")
STAND_IN = f"{STAND_INS['disordered-alloy']} (stand-in)"


def read(folder: Path) -> Iterator[Sample]:
    """Frames in the file's order."""
    return read_potential(folder / FILE, LABELS)


def read_stand_in() -> Iterator[Sample]:
    """A disordered alloy of six metals by effective medium theory."""
    return read_potential(stand_in_path("disordered-alloy"), LABELS)
