"""The processes of a run: one alone, or all that a launcher such as torchrun has started.

All of them train a cell together (data parallel: the same gradient, however many there are); the
first one tests, writes and reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from atomfm_calc.models.foundation import FoundationModel
from training.config import BatchLimits
from training.data.batching import Stream
from training.data.streams import StreamPlan
from training.engine.strategy import Strategy
from training.parallel.process import launcher_place, process_group
from training.parallel.strategies import STRATEGIES


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process and how many there are."""

    rank: int = 0
    """Of this one; the first, 0, writes files."""
    world_size: int = 1
    """Number of processes."""
    device: str = "cpu"
    """Of this one."""

    @property
    def is_first(self) -> bool:
        """Whether this one tests, writes and reports."""
        return self.rank == 0

    def strategy(self, model: FoundationModel) -> Strategy:
        """How they share a step; every process has the whole model."""
        everywhere = range(self.world_size)
        owners = dict.fromkeys(model.head_names, everywhere)
        return STRATEGIES["single" if self.world_size == 1 else "ddp"](owners)

    def plans(self, heads: Sequence[Mapping[str, float]]) -> list[StreamPlan]:
        """This process's streams of batches.

        Args:
            heads: of each batch of a step on one process, head -> probability.
        """
        first = self.rank * len(heads)
        return [
            StreamPlan(stream=Stream(first + k, self.rank, self.world_size), heads=dict(shares))
            for k, shares in enumerate(heads)
        ]

    def limits(self, limits: BatchLimits, structures_per_step: int) -> BatchLimits:
        """Of one process's batch, when all together take so many structures in a step."""
        return replace(limits, max_structures=-(-structures_per_step // self.world_size))


ALONE = Processes()
"""Without a launcher, on the CPU."""


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """All processes of the launcher in one group; without a launcher, this one alone.

    Args:
        device: of the recipe; with several processes on a node, each takes one of that type.
    """
    place = launcher_place()
    if place.world_size == 1:
        yield Processes(device=device)
        return
    with process_group(place, device) as own:
        yield Processes(rank=place.rank, world_size=place.world_size, device=str(own))
