"""Whether structures can have an energy at all, for one of them or many at a time, as arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.neighbors import FARTHEST, must_overlap

SHORTEST_DISTANCE = 0.3
"""Å; less than half of the shortest bond there is (H2, 0.74 Å): an input error, not a collision."""
SMALLEST_SINE = 1e-3
"""Smallest volume of a periodic cell over the product of its edges."""
Floats = NDArray[np.float64]


class Fault(NamedTuple):
    """Why a structure has no energy."""

    reason: str
    """ "no-atoms", "unknown-element", "not-finite", "flat-cell" or "overlap" """
    text: str
    """What was found, what is allowed"""


def fault_of(
    atomic_numbers: NDArray[np.int64],
    positions: Floats,
    cell: Floats,
    pbc: NDArray[np.bool_],
    shortest_distance: float = SHORTEST_DISTANCE,
) -> Fault | None:
    """The first thing that keeps a structure from having an energy; None: nothing was found.

    Whether two atoms overlap is told from the lattice alone; a list of neighbors tells the rest.

    Args:
        atomic_numbers: [N]
        positions: [N, 3] Å
        cell: [3, 3] Å; rows of directions that are not periodic are not looked at.
        pbc: [3]
        shortest_distance: Å, above 0, of two atoms or of an atom and its own image.
    """
    n_atoms = len(atomic_numbers)
    if n_atoms == 0:
        return Fault("no-atoms", "the structure has no atoms; was the file read to the end?")
    unknown = np.flatnonzero(~_are_elements(atomic_numbers))
    if len(unknown):
        number = atomic_numbers[unknown[0]]
        text = f"atom {unknown[0]} has atomic number {number}, which is no element"
        return Fault("unknown-element", text)
    fault = fault_of_positions(positions)
    if fault is not None:
        return fault
    periodic = cell[pbc]
    if not np.isfinite(periodic).all():
        return Fault("not-finite", f"the cell is not finite: {periodic.tolist()} Å")
    lengths = np.linalg.norm(periodic, axis=1)
    volume = np.sqrt(max(float(np.linalg.det(periodic @ periodic.T)), 0.0))
    if len(periodic) and not volume > SMALLEST_SINE * float(np.prod(lengths)):
        return Fault(
            "flat-cell",
            f"pbc is {pbc.tolist()}, but the periodic lattice vectors {periodic.tolist()} Å "
            "span no volume; set the cell, or pbc=False for a molecule",
        )
    if must_overlap(cell, pbc, n_atoms, shortest_distance):
        return Fault(
            "overlap",
            f"{n_atoms} atoms in the periodic cell {periodic.tolist()} Å overlap with each "
            f"other or with their own images: the least distance is {shortest_distance} Å. Is the "
            "cell too small?",
        )
    return None


def fault_of_positions(positions: Floats) -> Fault | None:
    """The part of `fault_of` that a step of dynamics can change, of positions [N, 3] in Å."""
    broken = np.flatnonzero(~_are_near(positions))
    if len(broken) == 0:
        return None
    return Fault(
        "not-finite",
        f"positions of {len(broken)} atoms are not finite, or beyond {FARTHEST:g} Å; the first "
        f"is atom {broken[0]} at {positions[broken[0]].tolist()} Å. Did a previous step blow up?",
    )


def suspects(
    n_atoms: NDArray[np.int64],
    atomic_numbers: NDArray[np.int64],
    positions: Floats,
    cell: Floats,
    pbc: NDArray[np.bool_],
    shortest_distance: float = SHORTEST_DISTANCE,
) -> list[int]:
    """Places of all structures that `fault_of` may object to, and of hardly any other.

    Args:
        n_atoms: [S] atoms of each of S structures, N in all.
        atomic_numbers: [N]
        positions: [N, 3] Å
        cell: [S, 3, 3] Å
        pbc: [S, 3]
        shortest_distance: as in `fault_of`.
    """
    owner = np.repeat(np.arange(len(n_atoms)), n_atoms)
    bad_atom = ~(_are_elements(atomic_numbers) & _are_near(positions))
    n_bad = np.bincount(owner[bad_atom], minlength=len(n_atoms))
    rows = np.where(pbc[:, :, None], cell, 0.0)
    finite = np.isfinite(rows).all(axis=(1, 2))
    rows[~finite] = 0.0
    lengths = np.where(pbc, np.linalg.norm(rows, axis=2), 1.0)
    gram = rows @ rows.transpose(0, 2, 1) + np.where(pbc, 0.0, 1.0)[:, None, :] * np.eye(3)
    volumes = np.sqrt(np.maximum(np.linalg.det(gram), 0.0))
    filled = volumes > 1.001 * SMALLEST_SINE * lengths.prod(axis=1)
    gram[~filled] = np.eye(3)
    heights = 1.0 / np.sqrt(np.diagonal(np.linalg.inv(gram), axis1=1, axis2=2))  # [S, 3]
    lowest = np.where(pbc, heights, np.inf).min(axis=1)
    crowded = pbc.all(axis=1) & (1.4 * volumes < n_atoms * shortest_distance**3)  # root of 2
    roomy = filled & ~crowded & (lowest >= 1.001 * shortest_distance)
    return np.flatnonzero(~((n_atoms > 0) & (n_bad == 0) & finite & roomy)).tolist()


def _are_elements(atomic_numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = (atomic_numbers >= 1) & (atomic_numbers < len(chemical_symbols))
    return known


def _are_near(positions: Floats) -> NDArray[np.bool_]:
    """Whether all three coordinates are finite and not beyond all reason: [N]."""
    near: NDArray[np.bool_] = np.all(np.abs(positions) <= FARTHEST, axis=1)
    return near
