"""From a block of structures to batches: checks, neighbor lists for many at once, slices as graphs.

Small structures that are not periodic are listed all together, by all pairs of atoms within each:
no call per structure, which would cost more than the model. The others go to `find_edges`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.calculators.budget import BatchBudget
from atomfm_calc.calculators.checks import SHORTEST_DISTANCE, SMALLEST_SINE
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.neighbors import FARTHEST, find_edges, must_overlap
from atomfm_calc.screening.structures import StructureBlock

ALL_PAIRS_UP_TO = 64
"""Atoms; beyond, looking at all pairs is slower than a cell list."""
PAIRS_AT_ONCE = 1_000_000
LARGEST = 1000.0
"""Å, of lattice vectors and molecules; for some larger ones vesin 0.6 divides by zero, which ends
the process."""


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
    edges = find_block_edges(block, cutoff)
    n_edges = np.bincount(block.structure_of_atom[edges.center], minlength=len(block))
    listed = ListedBlock(block=block, edges=edges, n_edges=n_edges)
    nearest = shortest_distances(listed)
    bad = nearest < shortest_distance
    details = [
        f"two atoms are {distance:.3f} Å apart, the least is {shortest_distance} Å"
        for distance in nearest[bad]
    ]
    lost = block.reject(bad, "overlap", details)
    kept = listed.select(~bad)
    return ListedBlock(block=lost, edges=kept.edges, n_edges=kept.n_edges)


def check_block(block: StructureBlock, shortest_distance: float) -> StructureBlock:
    """Reject structures that have no energy, in the order of `CalculatorSettings`' checks.

    Args:
        block: as a source gave it.
        shortest_distance: Å; also of an atom and its own image.
    """
    block = block.reject(
        block.n_atoms == 0, "no-atoms", ["0 atoms"] * int((block.n_atoms == 0).sum())
    )
    known = (block.atomic_numbers >= 1) & (block.atomic_numbers < len(chemical_symbols))
    bad = _any_atom(block, ~known)
    wrong = _first_of_each(block, ~known)
    block = block.reject(
        bad,
        "unknown-element",
        [f"atomic number {number}" for number in block.atomic_numbers[wrong]],
    )
    with np.errstate(invalid="ignore"):
        strange = np.logical_not((np.abs(block.positions) <= FARTHEST).all(axis=1))
    details = [
        f"an atom is at {place.tolist()} Å"
        for place in block.positions[_first_of_each(block, strange)]
    ]
    block = block.reject(_any_atom(block, strange), "not-finite", details)
    rows = np.where(block.pbc[:, :, None], block.cell, 0.0)
    lost = np.logical_not(np.isfinite(rows).all(axis=(1, 2)))
    block = block.reject(
        lost, "not-finite", [f"the cell is {cell.tolist()} Å" for cell in block.cell[lost]]
    )
    flat = flat_cells(block.cell, block.pbc)
    block = block.reject(
        flat, "flat-cell", [f"the cell is {cell.tolist()} Å" for cell in block.cell[flat]]
    )
    large = sizes(block) > LARGEST
    details = [
        f"it is {size:.4g} Å long, {LARGEST:.0f} are allowed" for size in sizes(block)[large]
    ]
    block = block.reject(large, "too-large", details)
    least = max(shortest_distance, SHORTEST_DISTANCE)
    rows_of = zip(block.cell, block.pbc, block.n_atoms.tolist(), strict=True)
    dense = np.array([must_overlap(*row, least) for row in rows_of], dtype=bool)
    details = [
        f"{n_atoms} atoms in the cell {cell.tolist()} Å are closer than {least} Å to each other or "
        "to their images"
        for n_atoms, cell in zip(block.n_atoms[dense], block.cell[dense], strict=True)
    ]
    return block.reject(dense, "overlap", details)


def sizes(block: StructureBlock) -> NDArray[np.float64]:
    """Longest periodic lattice vector, or extent if not periodic in three directions: [S] Å."""
    lattice = np.where(block.pbc, np.linalg.norm(block.cell, axis=2), 0.0).max(axis=1, initial=0.0)
    if len(block) == 0:
        return lattice
    starts = block.first_atom[:-1]
    highest = np.maximum.reduceat(block.positions, starts)
    extent = (highest - np.minimum.reduceat(block.positions, starts)).max(axis=1)
    return np.maximum(lattice, np.where(block.pbc.all(axis=1), 0.0, extent))


def flat_cells(cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether periodic lattice vectors span no volume: [S], for cells [S, 3, 3] and pbc [S, 3]."""
    rows = np.where(pbc[:, :, None], cell, 0.0)
    gram = rows @ rows.transpose(0, 2, 1)
    gram = np.where((pbc[:, :, None] & pbc[:, None, :]), gram, np.eye(3))
    volume = np.sqrt(np.maximum(np.linalg.det(gram), 0.0))
    lengths = np.where(pbc, np.linalg.norm(rows, axis=2), 1.0).prod(axis=1)
    flat: NDArray[np.bool_] = pbc.any(axis=1) & ~(volume > SMALLEST_SINE * lengths)
    return flat


def find_block_edges(block: StructureBlock, cutoff: float) -> Edges:
    """All edges of a block, sorted by center."""
    simple = ~block.pbc.any(axis=1) & (block.n_atoms <= ALL_PAIRS_UP_TO)
    parts = _all_pairs(block, np.flatnonzero(simple), cutoff)
    first = block.first_atom
    for row in np.flatnonzero(~simple):
        atoms = slice(first[row], first[row + 1])
        found = find_edges(block.positions[atoms], block.cell[row], block.pbc[row], cutoff)
        center, neighbor = found.edge_index + first[row]
        parts.append(Edges(center, neighbor, found.edge_shift))
    center = np.concatenate([np.zeros(0, np.int64), *(part.center for part in parts)])
    neighbor = np.concatenate([np.zeros(0, np.int64), *(part.neighbor for part in parts)])
    shift = np.concatenate([np.zeros((0, 3)), *(part.shift for part in parts)])
    if simple.all() or not simple.any():
        return Edges(center, neighbor, shift)
    order = np.argsort(center, kind="stable")
    return Edges(center[order], neighbor[order], shift[order])


def _all_pairs(block: StructureBlock, rows: NDArray[np.int64], cutoff: float) -> list[Edges]:
    """Edges of some structures, as many at a time as memory allows."""
    parts, first = [], block.first_atom
    n_pairs = np.cumsum(block.n_atoms[rows] ** 2)
    for chunk in np.split(
        rows,
        np.searchsorted(
            n_pairs, np.arange(PAIRS_AT_ONCE, n_pairs[-1] if len(rows) else 0, PAIRS_AT_ONCE)
        ),
    ):
        sizes = block.n_atoms[chunk]
        structure = np.repeat(np.arange(len(chunk)), sizes)
        place = np.arange(len(structure)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        atom = first[chunk][structure] + place  # [n] rows of the block
        run = sizes[structure]  # [n] each atom meets all of its structure
        center = np.repeat(atom, run)
        start = np.repeat(np.cumsum(run) - run, run)
        neighbor = np.repeat(first[chunk][structure], run) + np.arange(len(center)) - start
        vector = block.positions[neighbor] - block.positions[center]
        near = (np.einsum("pi,pi->p", vector, vector) < cutoff**2) & (center != neighbor)
        parts.append(Edges(center[near], neighbor[near], np.zeros((int(near.sum()), 3))))
    return parts


def shortest_distances(listed: ListedBlock) -> NDArray[np.float64]:
    """Distance of the two nearest atoms of each structure [S] in Å; infinite if none are listed."""
    block, edges = listed.block, listed.edges
    vectors = block.positions[edges.neighbor] - block.positions[edges.center]
    owner = block.structure_of_atom[edges.center]
    if block.pbc.any():
        vectors = vectors + np.einsum("ei,eij->ej", edges.shift, block.cell[owner])
    nearest = np.full(len(block), np.inf)
    has_edges = listed.n_edges > 0
    if has_edges.any():
        starts = (np.cumsum(listed.n_edges) - listed.n_edges)[has_edges]
        squares = np.einsum("ei,ei->e", vectors, vectors)
        nearest[has_edges] = np.sqrt(np.minimum.reduceat(squares, starts))
    return nearest


def _any_atom(block: StructureBlock, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Structures [S] that have a marked atom [N]."""
    return np.bincount(block.structure_of_atom[marked], minlength=len(block)) > 0


def _first_of_each(block: StructureBlock, marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first marked atom of every structure that has one."""
    rows = np.flatnonzero(marked)
    _, first = np.unique(block.structure_of_atom[rows], return_index=True)
    return rows[first]
