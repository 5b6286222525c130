"""Wiggle150: strained conformers of three drug molecules, coupled cluster energies, one .xyz file.

The comment of a conformer is its name and energy in kcal/mol: "ado_00 -603984.7". The name is that
of the molecule and a number; 00 is the ground state. Energies here are relative to the ground state
of the same molecule, as in the paper.

Source: Brew et al., J. Chem. Theory Comput. (2025), doi 10.1021/acs.jctc.5c00015, its supporting
file ct5c00015_si_003.xyz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from atomfm_calc.units import KCAL_PER_MOL
from downstream.readers.extxyz_values import read_potential
from downstream.readers.records import samples_of
from downstream.stand_in import STAND_INS, stand_in_path

STAND_IN = f"{STAND_INS['strained-conformers']} (stand-in)"
FILE = "ct5c00015_si_003.xyz"
GROUND_STATE = "00"


def read(folder: Path) -> Iterator[Sample]:
    """Conformers with the energy above their ground state; `source` is the name in the file.

    Raises:
        DataError: no such file, a conformer that cannot be read, or a molecule without its ground
            state; names them.
    """
    conformers = list(samples_of(folder / FILE, _conformers, lambda number, sample: sample))
    ground = {
        sample.group: float(sample.targets["energy"])
        for sample in conformers
        if sample.source == f"{sample.group}_{GROUND_STATE}"
    }
    for sample in conformers:
        if sample.group not in ground:
            raise DataError(
                f"{FILE}: {sample.source} has no ground state {sample.group}_{GROUND_STATE}"
            )
        above = np.asarray(float(sample.targets["energy"]) - ground[sample.group])
        yield replace(sample, targets={"energy": above})


def read_stand_in() -> Iterator[Sample]:
    """Strained formamide and methanol, CCSD(T) in a small basis."""
    return read_potential(stand_in_path("strained-conformers"), ("energy",))


def _conformers(path: Path) -> Iterator[Sample]:
    """Conformers with their energy in eV as in the file; `group` is the molecule."""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if not line.strip():
            continue
        comment = next(lines, "").split()
        rows = [next(lines, "").split() for _ in range(int(line))]
        if len(comment) != 2 or "_" not in comment[0]:
            raise DataError(f"its comment is {' '.join(comment)!r}, not a name and an energy")
        if any(len(row) != 4 for row in rows):
            raise DataError(f"{comment[0]} does not have {line.strip()} lines of atoms")
        yield Sample(
            atomic_numbers=np.array([atomic_numbers[row[0]] for row in rows], dtype=np.int64),
            positions=np.array([row[1:] for row in rows], dtype=np.float64),
            targets={"energy": np.asarray(float(comment[1]) * KCAL_PER_MOL)},
            source=comment[0],
            group=comment[0].rpartition("_")[0],
        )
