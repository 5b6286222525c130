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
        device: computes the lists of structures of up to `LARGEST` atoms.
    """
    device = torch.device(device)
    largest = LARGEST[device.type]
    small = [index for index, sample in enumerate(samples) if sample.n_atoms <= largest]
    lists = dict(zip(small, _of_small([samples[i] for i in small], cutoff, device), strict=True))
    return [
        lists[index]
        if index in lists
        else find_edges(sample.positions, sample.cell, sample.pbc, cutoff)
        for index, sample in enumerate(samples)
    ]


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
    order = np.lexsort((n_atoms, *reach.T))
    members: list[int] = []
    for index in order.tolist():
        images = int(np.prod(2 * reach[index] + 1))
        if members:
            same = bool((reach[index] == reach[members[0]]).all())
            n_pairs = (len(members) + 1) * int(n_atoms[index]) ** 2 * images
            if not same or n_pairs > limit or n_atoms[index] > 1.5 * n_atoms[members[0]] + 2:
                yield _group(members, n_atoms, reach)
                members = []
        members.append(index)
    yield _group(members, n_atoms, reach)


def _group(members: list[int], n_atoms: NDArray[np.int64], reach: NDArray[np.int64]) -> Group:
    first, second, third = reach[members[0]].tolist()
    return Group(members, int(n_atoms[members].max()), (first, second, third))


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
    squares = torch.baddbmm(lengths[:, :, None], between, offsets.mT, alpha=2.0)
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
