"""Which structures form a batch: within a budget of atoms, edges and structures.

The sampler's state is a few integers, so that a run can go on exactly where it stopped: the draw of
heads in batch b depends on seed and b only, the order of a head in epoch e on seed, head and e.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from training.config import BatchLimits

DRAWS_AT_A_TIME = 64


class _Filling:
    """Counts what a batch holds."""

    def __init__(self, limits: BatchLimits) -> None:
        self.limits = limits
        self.structures: list[int] = []
        self.n_atoms = self.n_edges = 0

    def accept(self, structure: int, n_atoms: int, n_edges: int) -> bool:
        if self.structures and (
            self.n_atoms + n_atoms > self.limits.max_atoms
            or self.n_edges + n_edges > self.limits.max_edges
            or len(self.structures) >= self.limits.max_structures
        ):
            return False
        self.structures.append(structure)
        self.n_atoms += n_atoms
        self.n_edges += n_edges
        return True


@dataclass(kw_only=True)
class SamplerState:
    """Where a sampler stands; plain numbers."""

    batch: int = 0
    """Batches handed out."""
    epoch: dict[str, int] = field(default_factory=dict)
    """Passes begun over each head's structures, from 0."""
    position: dict[str, int] = field(default_factory=dict)
    """Structures of the present pass handed out."""
    pending: int = -1
    """Structure that did not fit into the last batch and opens the next; -1: none."""
    seen: dict[str, int] = field(default_factory=dict)
    """Structures handed out per head since the beginning."""


class MixedSampler:
    """Endless batches of structures drawn from several heads with fixed probabilities."""

    def __init__(
        self,
        structures: Mapping[str, NDArray[np.int64]],
        probabilities: Mapping[str, float],
        sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
        limits: BatchLimits,
        seed: int,
    ) -> None:
        """Every entry of a head's list is drawn once before any is drawn again.

        Args:
            structures: indices per head; one that stands there twice is drawn twice in a pass.
            probabilities: per head, as from `mixing.weights`.
            sizes: atoms and edges of every structure that an index may point to.
            limits: of one batch.
            seed: of the draws.

        Raises:
            DataError: a structure that is larger than a batch may be.
        """
        self.names = list(structures)
        self.structures = dict(structures)
        self.probabilities = np.array([probabilities[name] for name in self.names])
        self.n_atoms, self.n_edges = sizes
        self.limits, self.seed = limits, seed
        for name, index in self.structures.items():
            check_sizes(name, self.n_atoms[index], self.n_edges[index], limits)
        self.state = SamplerState(
            epoch=dict.fromkeys(self.names, 0),
            position=dict.fromkeys(self.names, 0),
            seen=dict.fromkeys(self.names, 0),
        )
        self._head_of = {int(i): name for name in self.names for i in self.structures[name]}
        self._orders: dict[str, tuple[int, NDArray[np.int64]]] = {}

    def next_batch(self) -> NDArray[np.int64]:
        """Indices of the next batch [S]."""
        state, filling = self.state, _Filling(self.limits)
        generator = np.random.default_rng([self.seed, 1, state.batch])
        if state.pending >= 0:
            self._add(filling, state.pending)
            state.pending = -1
        while state.pending < 0:
            for draw in generator.choice(len(self.names), DRAWS_AT_A_TIME, p=self.probabilities):
                structure = self._next_of(self.names[draw])
                if not self._add(filling, structure):
                    state.pending = structure
                    break
        state.batch += 1
        return np.array(filling.structures, dtype=np.int64)

    def state_dict(self) -> dict[str, Any]:
        """Where the sampler stands, as JSON can hold it."""
        return {
            name: dict(value) if isinstance(value, dict) else value
            for name, value in vars(self.state).items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.state = SamplerState(
            batch=state["batch"],
            epoch=dict(state["epoch"]),
            position=dict(state["position"]),
            pending=state["pending"],
            seen=dict(state["seen"]),
        )

    def _add(self, filling: _Filling, structure: int) -> bool:
        n_atoms, n_edges = int(self.n_atoms[structure]), int(self.n_edges[structure])
        accepted = filling.accept(structure, n_atoms, n_edges)
        if accepted:
            self.state.seen[self._head_of[structure]] += 1
        return accepted

    def _next_of(self, name: str) -> int:
        state, members = self.state, self.structures[name]
        if state.position[name] >= len(members):
            state.position[name] = 0
            state.epoch[name] += 1
        epoch = state.epoch[name]
        if name not in self._orders or self._orders[name][0] != epoch:
            generator = np.random.default_rng([self.seed, 2, self.names.index(name), epoch])
            self._orders[name] = (epoch, generator.permutation(members))
        structure = int(self._orders[name][1][state.position[name]])
        state.position[name] += 1
        return structure


def fixed_batches(
    index: NDArray[np.int64],
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    limits: BatchLimits,
) -> list[NDArray[np.int64]]:
    """Cut `index` [S] into batches in its order, for validation."""
    batches, filling = [], _Filling(limits)
    for structure in index.tolist():
        n_atoms, n_edges = int(sizes[0][structure]), int(sizes[1][structure])
        if not filling.accept(structure, n_atoms, n_edges):
            batches.append(np.array(filling.structures, dtype=np.int64))
            filling = _Filling(limits)
            filling.accept(structure, n_atoms, n_edges)
    if filling.structures:
        batches.append(np.array(filling.structures, dtype=np.int64))
    return batches


def check_sizes(
    name: str, n_atoms: NDArray[np.int64], n_edges: NDArray[np.int64], limits: BatchLimits
) -> None:
    """DataError if a structure of head `name` is larger than a batch may be."""
    if len(n_atoms) == 0:
        raise DataError(f"head {name!r} has no structures to train on")
    if n_atoms.max() > limits.max_atoms or n_edges.max() > limits.max_edges:
        raise DataError(
            f"head {name!r} has a structure of {n_atoms.max()} atoms or {n_edges.max()} edges; a "
            f"batch holds {limits.max_atoms} atoms and {limits.max_edges} edges. "
            "Raise batch.max_atoms and batch.max_edges."
        )
