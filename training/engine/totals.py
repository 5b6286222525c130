"""What all ranks have in a step together, in one sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from training.engine.losses import DERIVED, LabeledBatch, count_labels, wanted
from training.engine.strategy import Strategy


class Totals(NamedTuple):
    """Sums over the batches of all ranks."""

    n_labels: dict[str, int]
    """By property."""
    structures: int
    """Number of structures."""
    atoms: int
    """Number of atoms."""
    edges: int
    """Number of directed edges."""
    seconds: float
    """Of the run so far, by the clock of rank 0."""
    stop: bool
    """Whether any rank was asked to stop."""

    def wanted(self, batch: LabeledBatch, world_size: int) -> tuple[str, ...]:
        """What must be predicted of a batch.

        With several ranks, all differentiate with respect to positions if any does: sharded weights
        are gathered in every gradient, by all ranks together.
        """
        own = wanted(batch)
        derivatives = self.n_labels["forces"] + self.n_labels["stress"] > 0
        return (*own, "forces") if world_size > 1 and derivatives and "forces" not in own else own


def add_up(
    batches: Sequence[LabeledBatch],
    seconds: float,
    stop: bool,
    strategy: Strategy,
    labels: Sequence[str] = DERIVED,
) -> Totals:
    """Count this rank's batches of a step and add up all ranks' counts.

    Args:
        batches: of this rank.
        seconds: of this rank's clock; that of rank 0 counts.
        stop: whether this rank was asked to stop.
        strategy: joins the ranks.
        labels: of energy heads and property heads, the same on all ranks.
    """
    counts = [count_labels(batch, labels) for batch in batches]
    values = [
        *(sum(count[name] for count in counts) for name in labels),
        sum(batch.graph.n_structures for batch in batches),
        sum(batch.graph.positions.shape[0] for batch in batches),
        sum(batch.graph.edge_index.shape[1] for batch in batches),
        seconds if strategy.rank == 0 else 0.0,
        float(stop),
    ]
    device = batches[0].graph.positions.device
    summed = strategy.sum(torch.tensor(values, dtype=torch.float64, device=device)).tolist()
    n_labels, (structures, atoms, edges, seconds, stops) = summed[:-5], summed[-5:]
    return Totals(
        n_labels={name: round(value) for name, value in zip(labels, n_labels, strict=True)},
        structures=round(structures),
        atoms=round(atoms),
        edges=round(edges),
        seconds=seconds,
        stop=stops > 0,
    )
