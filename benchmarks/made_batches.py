"""Batches of random crystals, made without files: what a training step is timed on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from atomfm_calc.sample import Sample
from training.config import BatchLimits
from training.data.loader import Assembler, Batch, FixedLoader
from training.data.packed import pack
from training.data.source import MemorySource

SITES = 27
"""Of the cubic grid on which a structure's atoms stand."""
VOLUME = 17.0
"""Å³ for each atom."""


def made_sample(number: int) -> Sample:
    """A crystal of 12 to 27 atoms at random sites of a grid, displaced, with random labels."""
    generator = np.random.default_rng(number)
    n_atoms = int(generator.integers(12, SITES + 1))
    side = (VOLUME * n_atoms) ** (1.0 / 3.0)
    grid = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), axis=-1).reshape(-1, 3) * side / 3.0
    sites = grid[generator.permutation(SITES)[:n_atoms]]
    return Sample(
        atomic_numbers=generator.choice([1, 6, 8, 14, 29], n_atoms),
        positions=sites + generator.normal(0.0, 0.1, (n_atoms, 3)),
        cell=np.eye(3) * side,
        pbc=np.ones(3, dtype=bool),
        targets={
            "energy": np.array(generator.normal()),
            "forces": generator.normal(0.0, 1.0, (n_atoms, 3)),
        },
        source=f"made#{number}",
    )


def made_batches(limits: BatchLimits, count: int, cutoff: float) -> list[Batch]:
    """As many full batches."""
    graphs = pack([made_sample(i) for i in range(count * limits.max_structures)], cutoff)
    assembler = Assembler(MemorySource(graphs, ["made"]), np.zeros(len(graphs), dtype=int))
    full = list(FixedLoader(assembler, np.arange(len(graphs)), limits))
    return full[:count]


class ReadyBatches:
    """The same batches again and again."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self._taken = 0

    def next_batch(self) -> Batch:
        """The next of them."""
        self._taken += 1
        return self.batches[(self._taken - 1) % len(self.batches)]
