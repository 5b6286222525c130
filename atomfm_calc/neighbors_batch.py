"""Neighbor lists of many structures at once, on any device: every pair and image is looked at.

For structures of up to some tens of atoms this takes a few calls of torch for all of them together
where a list per structure takes a call each. The work of a structure grows with the square of its
atoms, so larger ones are left to `neighbors.find_edges`. The result is the same.

On a GPU this looks at structures of up to `LARGEST["cuda"]` atoms; the list of a larger one is made
on the CPU by vesin, in time proportional to its atoms, and sent to the GPU with its structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.neighbors import EdgeList, find_edges
from atomfm_calc.sample import Sample

LARGEST = {"cpu": 20, "cuda": 1000}
"""Atoms of a structure, by device, beyond which a list of its own is faster (measured on a CPU)."""
LARGEST_MOLECULE = {"cpu": 64, "cuda": 1000}
"""The same of what is periodic in no direction, and has no images."""
PAIRS_AT_ONCE = {"cpu": 2**20, "cuda": 2**26}
"""Pairs of atoms and images that are held in memory together, by device."""


class Group(NamedTuple):
    """Structures that are looked at together."""

    members: list[int]
    """Their places in the batch"""
    n_atoms: int
    """Of the largest"""
    reach: tuple[int, int, int]
    """How many cells away an image may lie, along each lattice vector"""


def find_edges_of_many(
    samples: Sequence[Sample], cutoff: float, device: torch.device | str = "cpu"
) -> list[EdgeList]:
    """`find_edges` of each structure: all pairs closer than `cutoff`, sorted by center.

    Args:
        samples: positions inside of their cells or not; any mixture of pbc.
        cutoff: Å.
        device: computes the lists of structures of up to `LARGEST`, `LARGEST_MOLECULE` atoms.
    """
    device = torch.device(device)
    limits = {False: LARGEST[device.type], True: LARGEST_MOLECULE[device.type]}
    small = [
        index
        for index, sample in enumerate(samples)
        if sample.n_atoms <= limits[not sample.pbc.any()]
    ]
    lists = dict(zip(small, _of_small([samples[i] for i in small], cutoff, device), strict=True))
    return [
        lists[index]
        if index in lists
        else find_edges(sample.positions, sample.cell, sample.pbc, cutoff)
        for index, sample in enumerate(samples)
    ]


def shortest_distances(samples: Sequence[Sample], lists: Sequence[EdgeList]) -> NDArray[np.float64]:
    """Distance of the two nearest atoms of each structure, images included.

    Args:
        samples: S structures.
        lists: the edges of each.

    Returns:
        [S] Å; infinite if there are no edges.
    """
    nearest = np.full(len(samples), np.inf)
    n_edges = np.array([len(edges.edge_shift) for edges in lists], dtype=np.int64)
    listed = np.flatnonzero(n_edges)
    if len(listed) == 0:
        return nearest
    n_atoms = np.array([sample.n_atoms for sample in samples])
    structure = np.repeat(np.arange(len(samples)), n_edges)  # [E]
    first = (np.cumsum(n_atoms) - n_atoms)[structure]
    center, neighbor = np.concatenate([edges.edge_index for edges in lists], axis=1) + first
    shift = np.concatenate([edges.edge_shift for edges in lists])
    cells = np.stack([sample.cell for sample in samples])
    positions = np.concatenate([sample.positions for sample in samples])
    vectors = positions[neighbor] - positions[center]
    beyond = shift.any(axis=1)
    vectors[beyond] += np.einsum("ei,eij->ej", shift[beyond], cells[structure[beyond]])
    squares = np.einsum("ei,ei->e", vectors, vectors)
    starts = (np.cumsum(n_edges) - n_edges)[listed]
    nearest[listed] = np.sqrt(np.minimum.reduceat(squares, starts))
    return nearest


def _of_small(samples: list[Sample], cutoff: float, device: torch.device) -> list[EdgeList]:
    if not samples:
        return []
    pbc = torch.from_numpy(np.stack([sample.pbc for sample in samples])).to(device)
    cell = torch.from_numpy(np.stack([sample.cell for sample in samples])).to(device)
    lattice = torch.where(pbc[:, :, None], cell, 0.0)  # [S, 3, 3]
    n_atoms = np.array([sample.n_atoms for sample in samples])
    padded = np.zeros((len(samples), int(n_atoms.max()), 3))
    for index, sample in enumerate(samples):
        padded[index, : sample.n_atoms] = sample.positions
    positions = torch.from_numpy(padded).to(device)  # [S, n, 3]
    # rows that are zero get a one on the diagonal, so that the inverse is that of the others
    gram = lattice @ lattice.mT + torch.diag_embed((~pbc).to(lattice.dtype))
    inverse = lattice.mT @ torch.linalg.inv(gram)  # columns: reciprocal vectors
    reach = torch.ceil(cutoff * torch.linalg.vector_norm(inverse, dim=1)).to(torch.int64)
    cells = torch.floor(positions @ inverse)  # [S, n, 3] whole cells that an atom lies away
    wrapped = positions - cells @ lattice
    found = []
    for group in _groups(n_atoms, reach.cpu().numpy(), PAIRS_AT_ONCE[device.type]):
        members = torch.tensor(group.members, device=device)
        own = (wrapped[members, : group.n_atoms], cells[members, : group.n_atoms])
        counts = torch.from_numpy(n_atoms[group.members]).to(device)
        place, *edges = _look_at_all(*own, lattice[members], counts, group.reach, cutoff)
        found.append((members[place], *edges))
    structure, center, neighbor, shift = (torch.cat(parts) for parts in zip(*found, strict=True))
    return _lists(structure, center, neighbor, shift, len(samples))


def _groups(n_atoms: NDArray[np.int64], reach: NDArray[np.int64], limit: int) -> Iterator[Group]:
    """Structures of the same reach and of similar size, up to `limit` pairs of atoms and images."""
    sizes, reaches = n_atoms.tolist(), [(one, two, three) for one, two, three in reach.tolist()]
    images = np.prod(2 * reach + 1, axis=1).tolist()
    members: list[int] = []
    for index in np.lexsort((n_atoms, *reach.T)).tolist():
        if members:
            first = members[0]
            n_pairs = (len(members) + 1) * sizes[index] ** 2 * images[index]
            same = reaches[index] == reaches[first] and sizes[index] <= 1.5 * sizes[first] + 2
            if not same or n_pairs > limit:
                yield Group(members, sizes[members[-1]], reaches[first])
                members = []
        members.append(index)
    yield Group(members, sizes[members[-1]], reaches[members[0]])


def _look_at_all(
    positions: Tensor,
    cells: Tensor,
    lattice: Tensor,
    n_atoms: Tensor,
    reach: tuple[int, int, int],
    cutoff: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Structure, center and neighbor [E], and shift [E, 3], of a group.

    Args:
        positions: [G, n, 3] Å, inside of the cells.
        cells: [G, n, 3] whole cells that were taken off.
        lattice: [G, 3, 3] Å.
        n_atoms: [G]; the atoms beyond them are no atoms.
        reach: of all members.
        cutoff: Å.
    """
    n_structures, most = positions.shape[:2]
    device = positions.device
    ranges = [torch.arange(-far, far + 1, device=device) for far in reach]
    shifts = torch.cartesian_prod(*ranges).to(positions.dtype)  # [K, 3], the middle one is 0
    offsets = shifts @ lattice  # [G, K, 3]
    between = positions[:, None, :, :] - positions[:, :, None, :]  # [G, center, neighbor, 3]
    between = between.reshape(n_structures, most * most, 3)
    absent = torch.arange(most, device=device) >= n_atoms[:, None]  # [G, n]
    absent = (absent[:, :, None] | absent[:, None, :]).reshape(n_structures, most * most)
    lengths = (between * between).sum(dim=2).masked_fill(absent, torch.inf)
    squares = lengths[:, :, None]
    if len(shifts) > 1:
        squares = torch.baddbmm(squares, between, offsets.mT, alpha=2.0)
        squares += (offsets * offsets).sum(dim=2)[:, None, :]  # |between + offset|², [G, n n, K]
    squares[:, :: most + 1, len(shifts) // 2] = torch.inf  # no atom is its own neighbor
    structure, pair, image = torch.nonzero(squares < cutoff * cutoff, as_tuple=True)
    center, neighbor = pair // most, pair % most
    shift = shifts[image] + cells[structure, center] - cells[structure, neighbor]
    return structure, center, neighbor, shift


def _lists(
    structure: Tensor, center: Tensor, neighbor: Tensor, shift: Tensor, n_structures: int
) -> list[EdgeList]:
    """Edges of groups, sorted by center within each structure, one list per structure."""
    order = torch.argsort(structure, stable=True)
    ends = torch.bincount(structure, minlength=n_structures).cumsum(0).tolist()
    edge_index = torch.stack([center, neighbor])[:, order].cpu().numpy()
    edge_shift = shift[order].cpu().numpy()
    starts = [0, *ends[:-1]]
    return [
        EdgeList(edge_index[:, start:end], edge_shift[start:end])
        for start, end in zip(starts, ends, strict=True)
    ]
