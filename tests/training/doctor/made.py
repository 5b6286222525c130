"""Labeled files without fault, made with ASE's EMT: strained crystals, and hot molecules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write

from training.doctor.checks import examine
from training.doctor.report import Report
from training.own_data import OwnData

HARTREE, KCAL_PER_MOL, BOHR, KBAR = 27.2114, 0.0433641, 0.529177, 1.0 / 1602.1766
"""eV, eV, Å, eV/Å³; from CODATA 2018, six figures."""


def _labeled(atoms: Atoms) -> Atoms:
    computed = atoms.copy()
    computed.calc = EMT()
    atoms.info["REF_energy"] = float(computed.get_potential_energy())
    atoms.arrays["REF_forces"] = computed.get_forces()
    if atoms.pbc.all():
        atoms.info["REF_stress"] = computed.get_stress(voigt=False).reshape(9)
    return atoms


def crystals(count: int = 40, scale: float = 1.0) -> list[Atoms]:
    """Copper in cubic cells of four atoms, displaced, strained, and scaled if wanted."""
    generator = np.random.default_rng(5)
    frames = []
    for _ in range(count):
        atoms = bulk("Cu", cubic=True)
        strain = generator.normal(0.0, 0.015, (3, 3))
        atoms.set_cell(
            atoms.cell @ (scale * np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=True
        )
        atoms.positions += generator.normal(0.0, 0.05, (4, 3))
        frames.append(_labeled(atoms))
    return frames


def molecules(count: int = 40) -> list[Atoms]:
    """Water and methane in turn, displaced, neutral singlets that say so."""
    generator = np.random.default_rng(6)
    frames = []
    for number in range(count):
        atoms = molecule("CH4" if number % 2 else "H2O")
        atoms.positions += generator.normal(0.0, 0.03, (len(atoms), 3))
        atoms.info |= {"charge": 0, "multiplicity": 1}
        frames.append(_labeled(atoms))
    return frames


def written(path: Path, frames: list[Atoms]) -> Path:
    """The frames as a file of the format of its ending."""
    write(path, frames, format="extxyz" if "xyz" in path.name else None)
    return path


def report_of(folder: Path, frames: list[Atoms]) -> Report:
    """What the doctor says about the frames, without a model."""
    return examine(OwnData(path=written(folder / "own.extxyz", frames)))
