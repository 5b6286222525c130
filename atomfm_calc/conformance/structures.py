"""Structures that calculators are offered, and what can be done to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from numpy.typing import NDArray

Array = NDArray[np.float64]

CRYSTALS: dict[str, Callable[[], Atoms]] = {
    "silicon": lambda: bulk("Si", cubic=True),
    "rock salt": lambda: bulk("NaCl", "rocksalt", a=5.64, cubic=True),
    "magnesia": lambda: bulk("MgO", "rocksalt", a=4.21, cubic=True),
    "copper": lambda: bulk("Cu", cubic=True),
    "aluminum": lambda: bulk("Al", cubic=True),
    "diamond": lambda: bulk("C", cubic=True),
    "tungsten": lambda: bulk("W", cubic=True),
    "solid argon": lambda: bulk("Ar", "fcc", a=5.26, cubic=True),
}
"""Perfect crystals, in the order in which they are offered."""
MOLECULES: dict[str, Callable[[], Atoms]] = {
    "water": lambda: molecule("H2O"),
    "methane": lambda: molecule("CH4"),
    "ethanol": lambda: molecule("CH3CH2OH"),
    "nitrogen": lambda: molecule("N2"),
    "disilane": lambda: molecule("Si2H6"),
    "copper dimer": lambda: Atoms("Cu2", positions=[(0, 0, 0), (0, 0, 2.3)]),
    "argon dimer": lambda: Atoms("Ar2", positions=[(0, 0, 0), (0, 0, 3.8)]),
}
"""In the order in which they are offered."""
N_OF_EACH = 2
"""Crystals and molecules that a calculator is examined with, where the user gives none."""
MAX_GIVEN = 4
"""Structures of the user that are used."""
RATTLE = 0.05
"""Å; no atom stays on a symmetric site, where a wrong force could be zero by accident."""
GAP = 16.0
"""Å of vacuum about what is not to see its images."""

ROTATION: Array = np.linalg.qr(np.random.default_rng(7).normal(size=(3, 3)))[0]
ROTATION = ROTATION * np.linalg.det(ROTATION)
"""A proper rotation about no special axis."""
REFLECTION: Array = ROTATION @ np.diag([1.0, 1.0, -1.0])
"""An improper rotation."""


def rattled(atoms: Atoms) -> Atoms:
    """A copy with every atom moved by about `RATTLE`."""
    moved = atoms.copy()
    random = np.random.default_rng(len(atoms))
    moved.positions += random.normal(0.0, RATTLE, (len(atoms), 3))
    return moved


def transformed(atoms: Atoms, matrix: Array) -> Atoms:
    """A copy with positions and cell turned by an orthogonal matrix."""
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ matrix.T)
    turned.positions = atoms.positions @ matrix.T
    return turned


def moved(atoms: Atoms, change: Array) -> Atoms:
    """A copy with `change` added to the positions."""
    result = atoms.copy()
    result.positions = result.positions + change
    return result


def strained(atoms: Atoms, strain: Array) -> Atoms:
    """A copy with positions and cell deformed by 1 + strain."""
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=False)
    result.positions = atoms.positions @ (np.eye(3) + strain)
    return result


def in_box(atoms: Atoms, length: float | None = None) -> Atoms:
    """A copy in a periodic box with `GAP` around it, longer along x if `length` says so."""
    boxed = atoms.copy()
    edges = np.ptp(atoms.positions, axis=0) + GAP
    boxed.set_cell(np.maximum(edges, [length or 0.0, 0.0, 0.0]))
    boxed.pbc = True
    boxed.positions += GAP / 2 - atoms.positions.min(axis=0)
    return boxed


def cut(crystal: Atoms, periodic: Mapping[int, bool], gap: float) -> Atoms:
    """A copy of an upright crystal with `gap` Å of vacuum along some axes.

    Args:
        crystal: lattice vectors along x, y, z.
        periodic: axis -> whether it counts as periodic, for the axes that get vacuum.
        gap: Å.
    """
    result = crystal.copy()
    lengths = result.cell.lengths()
    for axis in periodic:
        lengths[axis] += gap
    result.set_cell(lengths)
    result.pbc = [periodic.get(axis, True) for axis in range(3)]
    return result


def is_upright(atoms: Atoms) -> bool:
    """Whether the lattice vectors lie along x, y and z."""
    cell = atoms.cell.array
    return bool(np.allclose(cell, np.diag(np.diag(cell))))
