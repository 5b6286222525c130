"""The smallest supercell whose perpendicular heights all reach a given length."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from numpy.typing import NDArray

from atomfm_calc.errors import StructureError

N_CANDIDATES = 70
"""Shortest lattice vectors that supercell edges are chosen from."""


def cell_heights(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Perpendicular heights [3] in Å of a cell with rows as lattice vectors."""
    return 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)


def smallest_supercell(atoms: Atoms, min_height: float) -> Atoms:
    """Supercell with the fewest atoms whose three heights are at least `min_height` Å.

    Edges are chosen among the `N_CANDIDATES` shortest lattice vectors that are long enough; among
    supercells of equal size the one with the largest smallest height is taken.

    Raises:
        StructureError: the cell is so flat that no choice works.
    """
    matrix = _best_matrix(np.array(atoms.cell), min_height)
    # a rounding below the size of the matrix elements, so that no atom is lost at the border
    return make_supercell(atoms, matrix, tol=1e-7)


def _best_matrix(cell: NDArray[np.float64], min_height: float) -> NDArray[np.int64]:
    reach = np.ceil(2.2 * min_height / cell_heights(cell)).astype(int)
    ranges = [range(-n, n + 1) for n in np.minimum(reach, 9)]
    steps = np.array(list(product(*ranges)))
    # one of each pair v, -v
    steps = steps[(steps @ np.array([10000, 100, 1])) > 0]
    lengths = np.linalg.norm(steps @ cell, axis=1)
    long_enough = np.flatnonzero(lengths >= min_height)
    order = long_enough[np.lexsort((long_enough, np.round(lengths[long_enough], 6)))]
    edges = steps[order[:N_CANDIDATES]]  # [M, 3]
    matrices = edges[_triples(len(edges))]  # [K, 3, 3]
    sizes = np.rint(np.linalg.det(matrices)).astype(int)  # [K]
    supercells = matrices @ cell
    faces = np.cross(np.roll(supercells, -1, axis=1), np.roll(supercells, -2, axis=1))
    volumes = np.abs(sizes) * abs(np.linalg.det(cell))
    heights = (volumes[:, None] / np.maximum(np.linalg.norm(faces, axis=2), 1e-9)).min(axis=1)
    heights[sizes == 0] = 0.0
    good = np.flatnonzero(heights >= min_height)
    if len(good) == 0:
        raise StructureError(f"no supercell of {cell.tolist()} reaches heights of {min_height} Å")
    best = good[np.lexsort((good, -np.round(heights[good], 6), np.abs(sizes[good])))[0]]
    matrix = matrices[best]
    return np.asarray(matrix if sizes[best] > 0 else -matrix)


@lru_cache(maxsize=4)
def _triples(n_choices: int) -> NDArray[np.int64]:
    """All ascending triples [K, 3] of 0..n_choices-1."""
    return np.array(list(combinations(range(n_choices), 3)))
