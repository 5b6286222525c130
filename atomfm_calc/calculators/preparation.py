"""Many structures to checked graphs: what `Evaluator.graph` does for one, for some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from atomfm_calc.calculators.checks import SHORTEST_DISTANCE, check_distances, check_structure
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.errors import StructureError, UnsupportedElementError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.neighbors import EdgeList, graph_from_arrays
from atomfm_calc.neighbors_batch import find_edges_of_many
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
    samples = [_centered(atoms, state) for atoms, state in structures]
    lists = find_edges_of_many(samples, evaluator.model.cutoff, evaluator.device)
    results: list[AtomicGraph | StructureError] = []
    for sample, edges in zip(samples, lists, strict=True):
        graph = graph_from_arrays(
            sample.atomic_numbers,
            sample.positions,
            sample.cell,
            sample.pbc,
            edges,
            charge=sample.charge,
            multiplicity=sample.multiplicity,
            dtype=evaluator.dtype,
        )
        if _may_overlap(sample, edges):
            try:
                check_distances(graph)
            except StructureError as error:
                results.append(error)
                continue
        results.append(graph)
    return results


def _centered(atoms: Atoms, state: ElectronicState) -> Sample:
    """As in `Evaluator.graph`: far from the origin, float32 has no digits left for distances."""
    positions = atoms.positions - atoms.positions.mean(axis=0)
    return Sample(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=positions,
        cell=np.array(atoms.cell.array),
        pbc=atoms.get_pbc(),
        charge=state[0],
        multiplicity=state[1],
    )


def _may_overlap(sample: Sample, edges: EdgeList) -> bool:
    center, neighbor = edges.edge_index
    vectors = sample.positions[neighbor] - sample.positions[center] + edges.edge_shift @ sample.cell
    squares = np.einsum("ei,ei->e", vectors, vectors)
    return bool(squares.min(initial=np.inf) < (1.01 * SHORTEST_DISTANCE) ** 2)


@dataclass(kw_only=True)
class Admissions:
    """Which of several heads may compute a structure; what is said of elements is kept."""

    evaluator: Evaluator
    heads: tuple[str, ...]
    _refused: dict[frozenset[int], dict[str, str]] = field(default_factory=dict)
    """Reason by head, for each set of elements met so far"""

    def of(self, atoms: Atoms) -> tuple[dict[ElectronicState, list[str]], dict[str, str]]:
        """Heads by the state that they see, and the reason for each that refuses."""
        try:
            check_structure(atoms)
        except StructureError as error:
            return {}, dict.fromkeys(self.heads, str(error))
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
