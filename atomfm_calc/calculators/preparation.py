"""Many structures to checked graphs: what `Evaluator.graph` does for one, for some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from ase import Atoms

from atomfm_calc.calculators.checks import check_distances
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.soundness import SHORTEST_DISTANCE
from atomfm_calc.errors import StructureError, UnsupportedElementError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.neighbors import EdgeList
from atomfm_calc.neighbors_batch import find_edges_of_many, shortest_distances
from atomfm_calc.sample import Sample

STRUCTURES_AT_ONCE = 256
ATOMS_AT_ONCE = 4000
"""How many get their neighbor lists together; a larger structure does so alone."""

ElectronicState = tuple[int, int]
"""Charge (e) and multiplicity (2S+1) that a head sees."""


def chunks(structures: Iterable[Atoms]) -> Iterator[list[tuple[int, Atoms]]]:
    """Structures with their places, some at a time, in order."""
    chunk: list[tuple[int, Atoms]] = []
    n_atoms = 0
    for place, atoms in enumerate(structures):
        full = len(chunk) == STRUCTURES_AT_ONCE or n_atoms + len(atoms) > ATOMS_AT_ONCE
        if chunk and full:
            yield chunk
            chunk, n_atoms = [], 0
        chunk.append((place, atoms))
        n_atoms += len(atoms)
    if chunk:
        yield chunk


def checked_graphs(
    evaluator: Evaluator, structures: Sequence[tuple[Atoms, ElectronicState]]
) -> list[AtomicGraph | StructureError]:
    """The graph of each structure, in main memory, or why it has none: overlapping atoms.

    Args:
        evaluator: has model and device.
        structures: passed `check_structure`; are not changed.
    """
    if not structures:
        return []
    samples = _centered(structures)
    lists = find_edges_of_many(samples, evaluator.model.cutoff, evaluator.device)
    graphs = _graphs(samples, lists, evaluator.dtype)
    results: list[AtomicGraph | StructureError] = list(graphs)
    shortest = shortest_distances(samples, lists)
    for place in np.flatnonzero(shortest < 1.01 * SHORTEST_DISTANCE).tolist():  # before rounding
        try:
            check_distances(graphs[place])
        except StructureError as error:
            results[place] = error
    return results


def _centered(structures: Sequence[tuple[Atoms, ElectronicState]]) -> list[Sample]:
    """As in `Evaluator.graph`: far from the origin, float32 has no digits left for distances."""
    n_atoms = np.array([len(atoms) for atoms, _ in structures])
    ends = np.cumsum(n_atoms)
    positions = np.concatenate([atoms.positions for atoms, _ in structures])
    centers = np.add.reduceat(positions, ends - n_atoms) / n_atoms[:, None]
    positions -= np.repeat(centers, n_atoms, axis=0)
    numbers = np.concatenate([atoms.numbers for atoms, _ in structures]).astype(np.int64)
    parts = zip(structures, (ends - n_atoms).tolist(), ends.tolist(), strict=True)
    return [
        Sample(
            atomic_numbers=numbers[start:end],
            positions=positions[start:end],
            cell=np.array(atoms.cell.array),
            pbc=atoms.get_pbc(),
            charge=charge,
            multiplicity=multiplicity,
        )
        for (atoms, (charge, multiplicity)), start, end in parts
    ]


def _graphs(
    samples: Sequence[Sample], lists: Sequence[EdgeList], dtype: torch.dtype
) -> list[AtomicGraph]:
    """What `graph_from_arrays` makes of each: parts of a few arrays of all of them."""

    def tensor(arrays: Any, kind: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(np.asarray(arrays)).to(kind)

    n_atoms = [sample.n_atoms for sample in samples]
    n_edges = [len(edges.edge_shift) for edges in lists]
    pbc = np.stack([sample.pbc for sample in samples])
    cells = np.where(pbc[:, :, None], np.stack([sample.cell for sample in samples]), 0.0)
    numbers = np.concatenate([sample.atomic_numbers for sample in samples])
    positions = np.concatenate([sample.positions for sample in samples])
    edge_index = np.concatenate([edges.edge_index for edges in lists], axis=1)
    edge_shift = np.concatenate([edges.edge_shift for edges in lists])
    fields = AtomicGraph(
        atomic_numbers=tensor(numbers, torch.int64).split(n_atoms),
        positions=tensor(positions, dtype).split(n_atoms),
        cell=tensor(cells, dtype).split(1),
        pbc=tensor(pbc, torch.bool).split(1),
        edge_index=tensor(edge_index, torch.int64).split(n_edges, dim=1),
        edge_shift=tensor(edge_shift, dtype).split(n_edges),
        batch=torch.zeros(len(numbers), dtype=torch.int64).split(n_atoms),
        n_atoms=tensor(n_atoms, torch.int64).split(1),
        charge=tensor([sample.charge for sample in samples], dtype).split(1),
        multiplicity=tensor([sample.multiplicity for sample in samples], dtype).split(1),
    )
    return [AtomicGraph(*parts) for parts in zip(*fields, strict=True)]


@dataclass(kw_only=True)
class Admissions:
    """Which of several heads may compute a structure; what is said of elements is kept."""

    evaluator: Evaluator
    heads: tuple[str, ...]
    _refused: dict[frozenset[int], dict[str, str]] = field(default_factory=dict)
    """Reason by head, for each set of elements met so far"""

    def of(
        self, atoms: Atoms, refusal: StructureError | None
    ) -> tuple[dict[ElectronicState, list[str]], dict[str, str]]:
        """Heads by the state that they see, and the reason for each that refuses.

        `refusal` is that of `check_structures`.
        """
        if refusal is not None:
            return {}, dict.fromkeys(self.heads, str(refusal))
        elements = frozenset(atoms.numbers.tolist())
        known = self._refused.setdefault(elements, {})
        states: dict[ElectronicState, list[str]] = {}
        refused: dict[str, str] = {}
        for head in self.heads:
            if head in known:
                refused[head] = known[head]
                continue
            try:
                states.setdefault(self.evaluator.admit(atoms, head), []).append(head)
            except UnsupportedElementError as error:
                refused[head] = known[head] = str(error)
            except StructureError as error:
                refused[head] = str(error)
        return states, refused
