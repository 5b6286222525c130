"""What is near the atoms of a structure: shortest contact, lonely atoms, a fingerprint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from atomfm_calc.neighbors import find_edges
from atomfm_calc.sample import Sample

CUTOFF = 6.0
"""Å; an atom with no other within this radius is alone."""
N_POWERS = 4

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """The neighborhood of one structure's atoms."""

    shortest: float
    """Shortest distance in units of the sum of the two covalent radii; infinite: no pair."""
    distance: float
    """That distance in Å."""
    n_alone: int
    """Atoms without any other within `CUTOFF`."""
    fingerprint: Floats
    """[16] equal for structures that differ by rotation, reflection, translation, whole cells and
    the order of the atoms; smooth in the positions. Source: none, made for this comparison; sums
    over neighbors as in Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007)."""


def surroundings_of(sample: Sample) -> Surroundings:
    """The neighborhood of a structure that `check_sample` accepts."""
    center, neighbor, distance = _edges(sample)
    n_atoms = sample.n_atoms
    if len(distance) == 0:
        zeros = np.zeros(4 * N_POWERS)
        return Surroundings(shortest=np.inf, distance=np.inf, n_alone=n_atoms, fingerprint=zeros)
    radii = covalent_radii[sample.atomic_numbers]
    contact = distance / (radii[center] + radii[neighbor])
    nearest = int(contact.argmin())
    return Surroundings(
        shortest=float(contact[nearest]),
        distance=float(distance[nearest]),
        n_alone=n_atoms - len(np.unique(center)),
        fingerprint=_fingerprint(sample.atomic_numbers, center, neighbor, distance),
    )


def _edges(sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    edges = find_edges(sample.positions, sample.cell, sample.pbc, CUTOFF)
    center, neighbor = edges.edge_index
    positions = sample.positions
    vectors = positions[neighbor] - positions[center] + edges.edge_shift @ sample.cell
    return center, neighbor, np.linalg.norm(vectors, axis=1)


def _fingerprint(
    atomic_numbers: NDArray[np.int64],
    center: NDArray[np.int64],
    neighbor: NDArray[np.int64],
    distance: Floats,
) -> Floats:
    # two weights per element, so that exchanging two elements is seen
    weights = np.stack([np.sqrt(atomic_numbers), 1.0 + np.sin(atomic_numbers)])  # [2, N]
    x = distance / CUTOFF
    smooth = (1.0 - x**2) ** 3
    radial = smooth * x ** np.arange(N_POWERS)[:, None]  # [powers, E]
    n_atoms = len(atomic_numbers)
    sums, squares = [], []
    for weight in weights:
        for values in radial:
            density = np.bincount(center, values * weight[neighbor], minlength=n_atoms)  # [N]
            sums.append(float(weights[0] @ density) / n_atoms)
            squares.append(float(weights[1] @ density**2) / n_atoms)
    return np.array(sums + squares)
