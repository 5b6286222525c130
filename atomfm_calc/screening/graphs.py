"""From a block of structures to batches: checks, neighbor lists for many at once, slices as graphs.

Checks and lists are those of `calculators`, on the flat arrays of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.calculators.budget import BatchBudget
from atomfm_calc.calculators.soundness import SHORTEST_DISTANCE, fault_of, suspects
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.neighbors import LONGEST_VECTOR, EdgeList
from atomfm_calc.neighbors_batch import find_edges_of_many, shortest_distances
from atomfm_calc.screening.structures import StructureBlock


class Edges(NamedTuple):
    """Directed edges of a block, sorted by center."""

    center: NDArray[np.int64]
    """[E] row of the block's atoms"""
    neighbor: NDArray[np.int64]
    """[E] likewise"""
    shift: NDArray[np.float64]
    """[E, 3] whole cells"""


@dataclass(frozen=True, kw_only=True, eq=False)
class ListedBlock:
    """Structures and their neighbor lists."""

    block: StructureBlock
    """S structures"""
    edges: Edges
    """Of all of them"""
    n_edges: NDArray[np.int64]
    """[S]"""

    def select(self, rows: NDArray[np.bool_]) -> ListedBlock:
        """The structures of a mask [S] with their edges."""
        if rows.all():
            return self
        kept_atom = rows[self.block.structure_of_atom]
        kept_edge = kept_atom[self.edges.center]
        new_row = np.cumsum(kept_atom) - 1
        edges = Edges(
            new_row[self.edges.center[kept_edge]],
            new_row[self.edges.neighbor[kept_edge]],
            self.edges.shift[kept_edge],
        )
        return ListedBlock(block=self.block.select(rows), edges=edges, n_edges=self.n_edges[rows])

    def graph(self, start: int, stop: int, dtype: torch.dtype) -> AtomicGraph:
        """Structures `start` to `stop` as one graph, each about its own center, neutral singlets.

        A molecule far from the origin would lose digits in float32; energies do not see the shift.
        """
        block = self.block
        first_edge = np.concatenate([[0], np.cumsum(self.n_edges)])[[start, stop]]
        first_atom, last_atom = block.first_atom[[start, stop]]
        atoms, edges = slice(first_atom, last_atom), slice(*first_edge)
        n_atoms = block.n_atoms[start:stop]
        owner = np.repeat(np.arange(stop - start), n_atoms)
        positions = block.positions[atoms]
        centers = np.zeros((stop - start, 3))
        np.add.at(centers, owner, positions)
        positions = positions - (centers / n_atoms[:, None])[owner]
        pbc = block.pbc[start:stop]
        pair = np.stack([self.edges.center[edges], self.edges.neighbor[edges]]) - first_atom
        ones = torch.ones(stop - start, dtype=dtype)
        return AtomicGraph(
            atomic_numbers=torch.from_numpy(block.atomic_numbers[atoms]),
            positions=torch.from_numpy(positions).to(dtype),
            cell=torch.from_numpy(np.where(pbc[:, :, None], block.cell[start:stop], 0.0)).to(dtype),
            pbc=torch.from_numpy(pbc.copy()),
            edge_index=torch.from_numpy(pair),
            edge_shift=torch.from_numpy(self.edges.shift[edges]).to(dtype),
            batch=torch.from_numpy(owner),
            n_atoms=torch.from_numpy(n_atoms.copy()),
            charge=torch.zeros_like(ones),
            multiplicity=ones,
        )

    def batches(self, budget: BatchBudget) -> list[tuple[int, int]]:
        """Ranges of structures within the budget, in order; a larger structure stands alone."""
        ranges, start, n_atoms, n_edges = [], 0, 0, 0
        sizes = zip(self.block.n_atoms.tolist(), self.n_edges.tolist(), strict=True)
        for row, (atoms, edges) in enumerate(sizes):
            fits = n_atoms + atoms <= budget.max_atoms and n_edges + edges <= budget.max_edges
            if not fits and row > start:
                ranges.append((start, row))
                start, n_atoms, n_edges = row, 0, 0
            n_atoms, n_edges = n_atoms + atoms, n_edges + edges
        return [*ranges, (start, len(self.block))] if len(self.block) else []


def list_block(block: StructureBlock, cutoff: float, shortest_distance: float) -> ListedBlock:
    """Checked structures with all edges within the cutoff; what fails a check is rejected.

    Args:
        block: as a source gave it.
        cutoff: Å
        shortest_distance: Å; structures with closer atoms are rejected.
    """
    block = check_block(block, shortest_distance)
    samples = block.samples()
    lists = find_edges_of_many(samples, cutoff)
    nearest = shortest_distances(samples, lists)
    bad = nearest < shortest_distance
    details = [
        f"two atoms are {distance:.3f} Å apart, the least is {shortest_distance} Å"
        for distance in nearest[bad]
    ]
    kept = _joined(block, lists).select(~bad)
    lost = block.reject(bad, "overlap", details)
    return ListedBlock(block=lost, edges=kept.edges, n_edges=kept.n_edges)


def _joined(block: StructureBlock, lists: Sequence[EdgeList]) -> ListedBlock:
    """A block with the lists of its structures, which count their own atoms only."""
    n_edges = np.array([len(edges.edge_shift) for edges in lists], dtype=np.int64)
    pairs = np.concatenate([np.zeros((2, 0), np.int64), *(one.edge_index for one in lists)], axis=1)
    center, neighbor = pairs + np.repeat(block.first_atom[:-1], n_edges)
    shift = np.concatenate([np.zeros((0, 3)), *(one.edge_shift for one in lists)])
    return ListedBlock(block=block, edges=Edges(center, neighbor, shift), n_edges=n_edges)


def check_block(block: StructureBlock, shortest_distance: float) -> StructureBlock:
    """Reject structures that have no energy, and those that are too large for neighbor lists.

    Args:
        block: as a source gave it.
        shortest_distance: Å; also of an atom and its own image.
    """
    least = max(shortest_distance, SHORTEST_DISTANCE)
    arrays = (block.atomic_numbers, block.positions, block.cell, block.pbc)
    faults = {}
    for row in suspects(block.n_atoms, *arrays, least):
        atoms = slice(*block.first_atom[row : row + 2])
        structure = (block.atomic_numbers[atoms], block.positions[atoms])
        fault = fault_of(*structure, block.cell[row], block.pbc[row], least)
        if fault is not None:
            faults[row] = fault
    block = block.reject_rows(faults)
    lengths = sizes(block)
    large = lengths > LONGEST_VECTOR
    details = [
        f"it is {size:.4g} Å long, {LONGEST_VECTOR:.0f} are allowed" for size in lengths[large]
    ]
    return block.reject(large, "too-large", details)


def sizes(block: StructureBlock) -> NDArray[np.float64]:
    """Longest periodic lattice vector, or extent if not periodic in three directions: [S] Å."""
    lattice = np.where(block.pbc, np.linalg.norm(block.cell, axis=2), 0.0).max(axis=1, initial=0.0)
    if len(block) == 0:
        return lattice
    starts = block.first_atom[:-1]
    highest = np.maximum.reduceat(block.positions, starts)
    extent = (highest - np.minimum.reduceat(block.positions, starts)).max(axis=1)
    return np.maximum(lattice, np.where(block.pbc.all(axis=1), 0.0, extent))
