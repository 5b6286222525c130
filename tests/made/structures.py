"""The structures that every contract is tested on, by name, and what can be done to one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from numpy.typing import NDArray

from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.sample import Sample

Matrix = NDArray[np.float64]


def _rattled(atoms: Atoms, amplitude: float = 0.08) -> Sample:
    """No atom on a symmetric site, where a wrong force could be zero by accident."""
    atoms = atoms.copy()
    atoms.positions += np.random.default_rng(len(atoms)).normal(0.0, amplitude, (len(atoms), 3))
    return sample_from_atoms(atoms)


def _skewed_silicon() -> Sample:
    silicon = bulk("Si")
    rows = silicon.cell.array.copy()
    rows[2] += 2 * rows[0] - rows[1]  # the same lattice, angles of 27 to 139 degrees
    silicon.set_cell(rows)
    return _rattled(silicon)


def _chain() -> Sample:
    carbon = Atoms("C2", positions=[(0.0, 0.0, 0.0), (0.1, 0.0, 1.27)], cell=(0, 0, 2.6))
    carbon.pbc = (False, False, True)
    return _rattled(carbon)


def _slab() -> Sample:
    copper = fcc111("Cu", size=(1, 2, 2), vacuum=3.0)
    copper.pbc = (True, True, False)
    return _rattled(copper)


def _outside_the_cell() -> Sample:
    salt = _rattled(bulk("NaCl", "rocksalt", a=5.64))
    return replace(salt, positions=salt.positions + np.array([[3, -2, 1], [0, 4, -1]]) @ salt.cell)


def _molecule(name: str, charge: int = 0, multiplicity: int = 1) -> Sample:
    return replace(_rattled(molecule(name), 0.04), charge=charge, multiplicity=multiplicity)


def _ammonium() -> Sample:
    directions = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) / np.sqrt(3.0)
    atoms = Atoms("NH4", positions=np.vstack([np.zeros(3), 1.02 * directions]))
    return replace(_rattled(atoms, 0.04), charge=1)


STRUCTURES: dict[str, Sample] = {
    "lone atom": sample_from_atoms(Atoms("Ar")),
    "water": _molecule("H2O"),
    "ethanol": _molecule("CH3CH2OH"),
    "rock salt": _rattled(bulk("NaCl", "rocksalt", a=5.64)),
    "skewed cell": _skewed_silicon(),
    "slab": _slab(),
    "chain": _chain(),
    "outside the cell": _outside_the_cell(),
    "tiny cell": sample_from_atoms(bulk("Fe", "sc", a=2.4)),
    "ammonium": _ammonium(),
    "hydroxide": _molecule("OH", charge=-1),
    "oxygen triplet": _molecule("O2", multiplicity=3),
}
"""Of different sizes, so that a batch of all is ragged; each one tells what it is in its name."""

PERIODIC = tuple(name for name, sample in STRUCTURES.items() if sample.pbc.all())
"""Periodic in three directions: these have a stress."""
ELECTRONIC = ("ammonium", "hydroxide", "oxygen triplet")
"""Charged or open-shell."""
NEUTRAL = tuple(name for name in STRUCTURES if name not in ELECTRONIC)
"""Neutral singlets."""

ROTATION: Matrix = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
ROTATION = ROTATION * np.linalg.det(ROTATION)
"""A proper rotation about no special axis."""
REFLECTION: Matrix = ROTATION @ np.diag([1.0, 1.0, -1.0])
"""An improper rotation."""


def rotate(sample: Sample, matrix: Matrix) -> Sample:
    """Turn positions and cell by an orthogonal `matrix`."""
    return replace(sample, positions=sample.positions @ matrix.T, cell=sample.cell @ matrix.T)


def translate(sample: Sample, vector: Matrix) -> Sample:
    """Move all atoms by one vector in Å, the cell stays."""
    return replace(sample, positions=sample.positions + vector)


def permute(sample: Sample, order: NDArray[np.int64]) -> Sample:
    """List the atoms in another order."""
    return replace(
        sample, atomic_numbers=sample.atomic_numbers[order], positions=sample.positions[order]
    )


def unwrap(sample: Sample) -> Sample:
    """Move each atom by other whole lattice vectors of the periodic directions."""
    cells = np.random.default_rng(3).integers(-2, 3, size=(sample.n_atoms, 3)) * sample.pbc
    return replace(sample, positions=sample.positions + cells @ sample.cell)


def far_copies(sample: Sample, n_copies: int, distance: float = 60.0) -> Sample:
    """One structure of `n_copies` molecules in a row; charge and unpaired electrons add up."""
    offsets = np.repeat(np.arange(n_copies), sample.n_atoms)[:, None] * np.array([distance, 0, 0])
    return replace(
        sample,
        atomic_numbers=np.tile(sample.atomic_numbers, n_copies),
        positions=np.tile(sample.positions, (n_copies, 1)) + offsets,
        charge=n_copies * sample.charge,
        multiplicity=n_copies * (sample.multiplicity - 1) + 1,
    )


def supercell(sample: Sample, repeats: tuple[int, int, int]) -> Sample:
    """Repeat along the lattice vectors; only sensible along periodic directions."""
    blocks = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), -1).reshape(-1, 3)
    offsets = np.repeat(blocks @ sample.cell, sample.n_atoms, axis=0)
    return replace(
        sample,
        atomic_numbers=np.tile(sample.atomic_numbers, len(blocks)),
        positions=np.tile(sample.positions, (len(blocks), 1)) + offsets,
        cell=sample.cell * np.array(repeats)[:, None],
    )
