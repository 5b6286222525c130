"""The structures that every program computes: crystals, water, small random ones, the paper's.

Needs nothing but ASE and NumPy, so that a program under test may run in an environment of its own;
random numbers have fixed seeds, so all programs get the same atoms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule

WATER_DENSITY = 0.997
"""g/cm³ at 298 K."""
LIGHT_ELEMENTS = (1, 6, 7, 8)
"""Of the random structures."""


def silicon(n_cells: int) -> Atoms:
    """A cube of diamond: 8 atoms per cell, 28 neighbors within 5 Å."""
    return bulk("Si", cubic=True) * (n_cells, n_cells, n_cells)


def rock_salt(n_cells: int) -> Atoms:
    """A cube of MgO, rattled by 0.1 Å: 8 atoms per cell, about 58 neighbors within 5 Å."""
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True) * (n_cells, n_cells, n_cells)
    atoms.rattle(0.1, seed=1)
    return atoms


def water_box(n_molecules: int = 64, seed: int = 0) -> Atoms:
    """Molecules on a cubic grid, turned at random, in a cube of the density of water."""
    rng = np.random.default_rng(seed)
    single = molecule("H2O")
    mass = n_molecules * single.get_masses().sum() / units.kg * 1e3
    length = (mass / WATER_DENSITY * 1e24) ** (1 / 3)
    per_edge = round(n_molecules ** (1 / 3))
    box = Atoms(cell=[length] * 3, pbc=True)
    for index in np.ndindex(per_edge, per_edge, per_edge):
        one = single.copy()
        phi, psi = rng.uniform(0, 360, 2)
        one.euler_rotate(phi, np.degrees(np.arccos(rng.uniform(-1, 1))), psi, center="COM")
        one.positions += (np.array(index) + 0.5) * length / per_edge - one.get_center_of_mass()
        box += one
    return box


def small_structures(count: int) -> list[Atoms]:
    """2 to 20 light atoms each, 10 Å³ per atom, at least 0.9 Å apart, not periodic."""
    random = np.random.default_rng(0)
    structures = []
    for n_atoms in random.integers(2, 21, count):
        positions = np.zeros((1, 3))
        while len(positions) < n_atoms:
            trial = random.uniform(0.0, (10.0 * n_atoms) ** (1 / 3), 3)
            if np.linalg.norm(positions - trial, axis=1).min() > 0.9:
                positions = np.vstack([positions, trial])
        structures.append(Atoms(random.choice(LIGHT_ELEMENTS, n_atoms), positions))
    return structures


def paper_structures(count: int) -> list[Atoms]:
    """The published workload: 2 to 500 atoms, 251 on average, anywhere in a box of 10 Å."""
    random = np.random.default_rng(0)
    return [
        Atoms(random.choice(LIGHT_ELEMENTS, n_atoms), random.uniform(0.0, 10.0, (n_atoms, 3)))
        for n_atoms in random.integers(2, 501, count)
    ]


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    "MgO8": lambda: rock_salt(1),
    "MgO64": lambda: rock_salt(2),
    "MgO512": lambda: rock_salt(4),
    "MgO4096": lambda: rock_salt(8),
    "Si64": lambda: silicon(2),
    "water192": water_box,
}
"""By name and number of atoms."""

LISTS: dict[str, Callable[[int], list[Atoms]]] = {
    "small": small_structures,
    "paper": paper_structures,
}
"""Many structures, as many as asked for."""
