"""Ways to move atoms off a given structure: rattle, heat, scale, strain."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from ase.units import kB
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

STIFFNESS = 25.0
"""Spring constant in eV/Å² of two light atoms at the sum of their covalent radii (a C-C bond)."""
METAL_STIFFNESS = 2.5
"""The same between two metal atoms."""
DECAY = 3.0
"""Springs weaken by exp(-DECAY) when the distance doubles, measured in covalent radii."""
LIGHT = (1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 33, 34, 35, 36, 53, 54)
"""Atomic numbers that make stiff bonds."""


def rattle(atoms: Atoms, amplitude: float, rng: np.random.Generator) -> Atoms:
    """Copy with Gaussian displacements of `amplitude` Å per component."""
    moved = atoms.copy()
    moved.positions += rng.normal(0.0, amplitude, moved.positions.shape)
    return moved


def stretch(atoms: Atoms, factor: float) -> Atoms:
    """Copy with all lengths scaled by `factor`, cell included."""
    scaled = atoms.copy()
    if atoms.pbc.any():
        scaled.set_cell(atoms.cell[:] * factor, scale_atoms=True)
    else:
        scaled.positions = atoms.positions.mean(axis=0) * (1 - factor) + atoms.positions * factor
    return scaled


def strain(atoms: Atoms, amplitude: float, rng: np.random.Generator) -> Atoms:
    """Copy of a crystal under a random symmetric strain with components up to `amplitude`."""
    change = rng.uniform(-amplitude, amplitude, (3, 3))
    strained = atoms.copy()
    strained.set_cell(atoms.cell[:] @ (np.eye(3) + 0.5 * (change + change.T)), scale_atoms=True)
    return strained


def heat(
    atoms: Atoms, temperature_K: float, rng: np.random.Generator, is_portable: bool = False
) -> Atoms:
    """Copy with thermal displacements of a harmonic spring network.

    Springs join all pairs below 2.6 sums of covalent radii; stiff bonds move little, soft
    contacts and torsions more, as at `temperature_K`. Modes softer than 0.3 eV/Å² count as 0.3.

    Args:
        atoms: the structure.
        temperature_K: of the displacements.
        rng: random numbers.
        is_portable: draw in Cartesian directions, which gives the same structure on every machine.
            Drawn per mode, as for the first sets, it depends on which of the equivalent modes of
            a symmetric structure LAPACK returns, and that changes with the processor.
    """
    values, modes = np.linalg.eigh(_spring_matrix(atoms))
    widths = np.sqrt(kB * temperature_K / np.maximum(values, 0.3))
    # the sign of an eigenvector is arbitrary: fix it, so that the same seed moves the same way
    largest = np.abs(modes).argmax(axis=0)
    modes = modes * np.sign(modes[largest, np.arange(len(values))])
    noise = rng.normal(size=len(values))
    if is_portable:
        noise = modes.T @ noise
    moved = atoms.copy()
    moved.positions += (modes @ (widths * noise)).reshape(-1, 3)
    return moved


def pull_bond(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Copy with one bond scaled by 0.78-1.8; the part behind it moves as a whole.

    In a ring, one atom moves alone. A structure without bonds stays as it is.
    """
    first, second = neighbor_list("ij", atoms, 1.25 * covalent_radii[atoms.numbers])
    moved = atoms.copy()
    if len(first) == 0:
        return moved
    bond = int(rng.integers(len(first)))
    one, other = int(first[bond]), int(second[bond])
    factor = rng.uniform(0.78, 1.0) if rng.uniform() < 0.4 else rng.uniform(1.0, 1.8)
    is_cut = ((first == one) & (second == other)) | ((first == other) & (second == one))
    links = coo_array(
        (np.ones(np.count_nonzero(~is_cut)), (first[~is_cut], second[~is_cut])),
        shape=(len(atoms), len(atoms)),
    )
    part = connected_components(links, directed=False)[1]
    moving = part == part[other] if part[one] != part[other] else np.arange(len(atoms)) == other
    vector = atoms.positions[other] - atoms.positions[one]
    moved.positions[moving] += (factor - 1.0) * vector
    return moved


def _spring_matrix(atoms: Atoms) -> NDArray[np.float64]:
    radii = covalent_radii[atoms.numbers]
    first, second, vectors = neighbor_list("ijD", atoms, 1.3 * 2 * radii)
    hardness = np.where(np.isin(atoms.numbers, LIGHT), STIFFNESS, METAL_STIFFNESS)
    lengths = np.linalg.norm(vectors, axis=1)
    ratio = lengths / (radii[first] + radii[second])
    springs = np.sqrt(hardness[first] * hardness[second]) * np.exp(-DECAY * (ratio - 1.0))
    units = vectors / lengths[:, None]
    blocks = springs[:, None, None] * units[:, :, None] * units[:, None, :]
    matrix = np.zeros((len(atoms), 3, len(atoms), 3))
    # each pair appears twice, so half of its energy belongs to each appearance
    pairs = (
        (first, first, 0.5),
        (second, second, 0.5),
        (first, second, -0.5),
        (second, first, -0.5),
    )
    for row, column, factor in pairs:
        place: Any = (row, slice(None), column)
        np.add.at(matrix, place, factor * blocks)
    return matrix.reshape(3 * len(atoms), 3 * len(atoms))


def disturb(atoms: Atoms, rng: np.random.Generator, is_portable: bool = False) -> tuple[Atoms, str]:
    """A molecule or cluster moved in one of the ways that training needs, and the name of the way.

    One in ten stays as it is; the others are heated to 100-1500 K (even in the logarithm),
    rattled by 0.02-0.2 Å or scaled by 0.9-1.2 on top of 300 K. `is_portable`: see `heat`.
    """
    way = rng.choice(["as-built", "heat", "rattle", "scale"], p=[0.1, 0.5, 0.25, 0.15])
    if way == "as-built":
        return atoms.copy(), str(way)
    if way == "heat":
        return heat(atoms, 100.0 * 15.0 ** rng.uniform(), rng, is_portable), str(way)
    if way == "rattle":
        return rattle(atoms, rng.uniform(0.02, 0.2), rng), str(way)
    return stretch(heat(atoms, 300.0, rng, is_portable), rng.uniform(0.9, 1.2)), str(way)
