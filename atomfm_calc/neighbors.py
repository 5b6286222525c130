"""Neighbor lists (the vesin door): arrays -> `AtomicGraph`, and a skin cache for dynamics.

vesin takes periodicity per direction and lists every image within the cutoff; nothing is capped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import vesin
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from atomfm_calc.errors import StructureError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.sample import Sample

FARTHEST = 1e6
"""Å from the origin; a position beyond it is no position, and makes vesin 0.6.2 end the process."""
LONGEST_VECTOR = 1000.0
"""Å; vesin 0.6.2 ends the whole process (SIGFPE) for cells of some thousand Å and few atoms."""


class EdgeList(NamedTuple):
    """Directed edges within a radius, sorted by center."""

    edge_index: NDArray[np.int64]
    """[2, E] center, neighbor"""
    edge_shift: NDArray[np.float64]
    """[E, 3] whole cells"""


def find_edges(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    cutoff: float,
) -> EdgeList:
    """All pairs closer than `cutoff`, self images included, in both directions.

    Args:
        positions: [N, 3] Å, inside the cell or not.
        cell: [3, 3] Å; rows of non-periodic directions are ignored.
        pbc: [3]; any mixture.
        cutoff: Å.

    Raises:
        StructureError: a periodic lattice vector is longer than `LONGEST_VECTOR`, or an atom is
            farther than `FARTHEST`.
    """
    pbc = np.asarray(pbc, dtype=bool)
    positions = np.asarray(positions, dtype=np.float64)
    if not (np.abs(positions) <= FARTHEST).all():
        raise StructureError(
            f"a position is not finite, or farther than {FARTHEST:g} Å from the origin. Did a "
            "previous step blow up?"
        )
    lengths = np.linalg.norm(np.asarray(cell, dtype=np.float64), axis=1)[pbc]
    if (lengths > LONGEST_VECTOR).any():
        raise StructureError(
            f"a periodic lattice vector is {lengths.max():g} Å long; neighbor lists take up to "
            f"{LONGEST_VECTOR:g} Å. Make the vacuum smaller, or that direction not periodic"
        )
    lattice = _complete_cell(np.asarray(cell, dtype=np.float64), pbc)
    if len(positions) and not pbc.all():
        positions, extents = _squeeze(positions, lattice[~pbc], cutoff)
        lattice[~pbc] *= extents[:, None] + 2.0 * cutoff
    neighbor_list = vesin.NeighborList(cutoff=float(cutoff), full_list=True, sorted=True)
    center, neighbor, shift = neighbor_list.compute(
        points=np.ascontiguousarray(positions),
        box=np.ascontiguousarray(lattice),
        periodic=pbc if pbc.any() else False,
        quantities="ijS",
    )
    edge_index = np.stack([center, neighbor]).astype(np.int64)
    return EdgeList(edge_index, np.asarray(shift, dtype=np.float64).reshape(-1, 3))


def _squeeze(
    positions: NDArray[np.float64], directions: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Narrow all gaps to little more than the cutoff: atoms across one are no neighbors.

    vesin 0.6.2 takes minutes, or ends the process, where atoms are far apart along a direction that
    is not periodic, in cells that are periodic along another.

    Args:
        positions: [N, 3] Å
        directions: [P, 3] unit vectors normal to each other and to the periodic ones.
        cutoff: Å

    Returns:
        positions [N, 3] from 0 on along `directions`, and how far they reach [P].
    """
    along = positions @ directions.T  # [N, P]
    order = along.argsort(axis=0)
    ordered = np.take_along_axis(along, order, axis=0)
    gaps = np.diff(ordered, axis=0, prepend=ordered[:1])
    narrow = np.cumsum(np.minimum(gaps, 1.01 * cutoff), axis=0)
    squeezed = np.empty_like(along)
    np.put_along_axis(squeezed, order, narrow, axis=0)
    return positions + (squeezed - along) @ directions, narrow[-1]


def must_overlap(
    cell: NDArray[np.float64], pbc: NDArray[np.bool_], n_atoms: int, distance: float
) -> bool:
    """Whether atoms of a cell are closer than `distance` Å to each other or to their own images.

    Told from the lattice alone, because a list of such a cell would fill any memory: it has a
    vector shorter than `distance`, or more atoms than its volume holds of close-packed spheres.

    Args:
        cell: [3, 3] Å, finite, of a volume above zero in its periodic directions.
        pbc: [3]; any mixture.
        n_atoms: in the cell.
        distance: Å, above 0.

    Returns:
        True if it is certain; False if only a list can tell.
    """
    rows = cell[pbc]
    if len(rows) == 0:
        return False
    if len(rows) == 3 and n_atoms * distance**3 > np.sqrt(2.0) * abs(np.linalg.det(rows)):
        return True
    # no lattice vector is shorter than the smallest height, and one height per vector is cheap
    heights = 1.0 / np.linalg.norm(np.linalg.pinv(rows), axis=0)
    if heights.min() >= distance:
        return False
    reduced, _ = minkowski_reduce(_complete_cell(cell, pbc), pbc)
    return bool(np.linalg.norm(reduced[pbc], axis=1).min() < distance)


def graph_from_arrays(
    atomic_numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
    edges: EdgeList,
    *,
    charge: float = 0.0,
    multiplicity: float = 1.0,
    dtype: torch.dtype = torch.float64,
) -> AtomicGraph:
    """One structure and its edges as a graph; lattice vectors of non-periodic directions become 0.

    Shapes and units as in `Sample` and `EdgeList`; `dtype` is that of the real-valued fields.
    """
    n_atoms = len(atomic_numbers)
    kept_cell = np.where(np.asarray(pbc, dtype=bool)[:, None], cell, 0.0)
    return AtomicGraph(
        atomic_numbers=torch.tensor(np.asarray(atomic_numbers), dtype=torch.int64),
        positions=torch.tensor(np.asarray(positions), dtype=dtype),
        cell=torch.tensor(kept_cell, dtype=dtype)[None],
        pbc=torch.tensor(np.asarray(pbc), dtype=torch.bool)[None],
        edge_index=torch.from_numpy(edges.edge_index),
        edge_shift=torch.tensor(edges.edge_shift, dtype=dtype),
        batch=torch.zeros(n_atoms, dtype=torch.int64),
        n_atoms=torch.tensor([n_atoms]),
        charge=torch.tensor([charge], dtype=dtype),
        multiplicity=torch.tensor([multiplicity], dtype=dtype),
    )


def graph_from_sample(
    sample: Sample, cutoff: float, dtype: torch.dtype = torch.float64
) -> AtomicGraph:
    """The graph of a sample with all edges within `cutoff` Å."""
    return graph_from_arrays(
        sample.atomic_numbers,
        sample.positions,
        sample.cell,
        sample.pbc,
        find_edges(sample.positions, sample.cell, sample.pbc, cutoff),
        charge=sample.charge,
        multiplicity=sample.multiplicity,
        dtype=dtype,
    )


class SkinCache:
    """Reuses a list made with cutoff + skin until an atom has moved more than skin / 2.

    Two atoms that each move by skin / 2 can approach by skin, no more, so no pair within the cutoff
    is missed. Another cell, pbc or number of atoms always makes a new list. The edges returned
    are those within the cutoff at the present positions, the same as without the cache.
    """

    def __init__(self, cutoff: float, skin: float) -> None:
        """`cutoff` and `skin` in Å; skin 0 makes a new list at every call."""
        self.cutoff = cutoff
        self.skin = skin
        self.n_lists_made = 0
        self.shortest: float | None = None
        """Distance of the closest pair at the last call, Å; None if it was not looked at."""
        self._reference: tuple[NDArray[np.float64], ...] | None = None
        self._edges = EdgeList(np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3)))

    def edges(
        self,
        positions: NDArray[np.float64],
        cell: NDArray[np.float64],
        pbc: NDArray[np.bool_],
    ) -> EdgeList:
        """The edges within the cutoff; shapes and units as in `find_edges`."""
        if self.skin <= 0.0:
            self.n_lists_made += 1
            self.shortest = None
            return find_edges(positions, cell, pbc, self.cutoff)
        if not self._still_valid(positions, cell, pbc):
            self._edges = find_edges(positions, cell, pbc, self.cutoff + self.skin)
            self._reference = (np.array(positions), np.array(cell), np.array(pbc))
            self.n_lists_made += 1
        center, neighbor = self._edges.edge_index
        vectors = positions[neighbor] - positions[center] + self._edges.edge_shift @ cell
        squares = np.einsum("ei,ei->e", vectors, vectors)
        self.shortest = float(np.sqrt(squares.min(initial=np.inf)))
        near = squares < self.cutoff**2
        return EdgeList(self._edges.edge_index[:, near], self._edges.edge_shift[near])

    def _still_valid(
        self,
        positions: NDArray[np.float64],
        cell: NDArray[np.float64],
        pbc: NDArray[np.bool_],
    ) -> bool:
        if self._reference is None or self._reference[0].shape != positions.shape:
            return False
        old_positions, old_cell, old_pbc = self._reference
        if not (np.array_equal(old_cell, cell) and np.array_equal(old_pbc, pbc)):
            return False
        moved = np.linalg.norm(positions - old_positions, axis=1).max(initial=0.0)
        return bool(moved <= 0.5 * self.skin)


def _complete_cell(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Replace the rows of non-periodic directions by unit vectors normal to the periodic ones."""
    if not pbc.any():
        return np.eye(3)
    if pbc.all():
        return cell
    _, _, normals = np.linalg.svd(cell[pbc])  # rows beyond the rank are an orthonormal complement
    lattice = cell.copy()
    lattice[~pbc] = normals[int(pbc.sum()) :]
    return lattice
