"""Strategies by name: how the ranks of a run share a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from training.engine.strategy import SingleProcess
from training.parallel.ranks import Ranks
from training.parallel.sharded import ShardedRanks

Owners = Mapping[str, Sequence[int]]

STRATEGIES: dict[str, Callable[[Owners], SingleProcess | Ranks]] = {
    "single": lambda owners: SingleProcess(),
    "ddp": Ranks,
    "fsdp": ShardedRanks,
    "multitask": Ranks,
    "multitask-fsdp": ShardedRanks,
}
"""Head -> the ranks that have it, from `training.data.streams`; what differs between a strategy and
its multitask variant is that heads are in groups, so that not every rank has every head."""

HEADS_IN_GROUPS = ("multitask", "multitask-fsdp")
"""Strategies under which heads are in groups, one per head if none are named."""
