"""Which stream of batches draws from which heads, and how ranks share the streams.

A step of a run is made of `batches_per_step` batches, one of each stream. If heads are in groups, a
stream draws from one group only, so that a rank needs the heads of its own streams and no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, listing
from training.config import BatchLimits
from training.data.batching import MixedSampler, RoundRobin, Stream, check_sizes

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """What one stream draws."""

    stream: Stream
    """Its number, and its place among the streams of its heads."""
    heads: dict[str, float]
    """Head -> probability, adding up to 1."""


def one_group_per_head(shares: Mapping[str, float], n_streams: int) -> Groups:
    """A group for each head; with fewer streams than heads, the smallest are joined.

    Args:
        shares: probability of each head.
        n_streams: number of groups at most.
    """
    groups = [[name] for name in shares]
    while len(groups) > n_streams:
        groups.sort(key=lambda group: (-sum(shares[name] for name in group), group))
        last = groups.pop()
        groups[-1] += last
    order = list(shares)
    ordered = [tuple(sorted(group, key=order.index)) for group in groups]
    return tuple(sorted(ordered, key=lambda group: order.index(group[0])))


def plan_streams(
    shares: Mapping[str, float], n_streams: int, groups: Groups = ()
) -> tuple[StreamPlan, ...]:
    """Give every group streams in proportion to its share, at least one.

    Args:
        shares: probability of each head, adding up to 1.
        n_streams: batches per step.
        groups: of heads; none: all heads in one.

    Raises:
        ConfigError: a head in no group or in two, or more groups than streams.
    """
    groups = groups or (tuple(shares),)
    named = [name for group in groups for name in group]
    if sorted(named) != sorted(shares):
        raise ConfigError(
            f"parallel.head_groups must name every head once; they name {listing(named)}, "
            f"the run has {listing(shares)}"
        )
    if len(groups) > n_streams:
        raise ConfigError(
            f"{len(groups)} head groups need as many batches per step, and there are {n_streams}; "
            "raise parallel.batches_per_step or join groups"
        )
    totals = [sum(shares[name] for name in group) for group in groups]
    plans: list[StreamPlan] = []
    for group, total, count in zip(groups, totals, _counts(totals, n_streams), strict=True):
        heads = {name: shares[name] / total for name in group}
        for place in range(count):
            plans.append(StreamPlan(stream=Stream(len(plans), place, count), heads=heads))
    return tuple(plans)


def streams_of_rank(n_streams: int, rank: int, world_size: int) -> range:
    """Numbers of the streams of a rank: an equal, contiguous part.

    The ranks divide the streams: `ParallelConfig.check_world_size` has seen to it.
    """
    each = n_streams // world_size
    return range(rank * each, (rank + 1) * each)


def ranks_of_heads(plans: Sequence[StreamPlan], world_size: int) -> dict[str, tuple[int, ...]]:
    """Head -> the ranks whose streams draw from it, in order."""
    owners: dict[str, list[int]] = {}
    for rank in range(world_size):
        for number in streams_of_rank(len(plans), rank, world_size):
            for name in plans[number].heads:
                ranks = owners.setdefault(name, [])
                if rank not in ranks:
                    ranks.append(rank)
    return {name: tuple(ranks) for name, ranks in owners.items()}


def make_sampler(
    plans: Sequence[StreamPlan],
    structures: Mapping[str, NDArray[np.int64]],
    sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    limits: BatchLimits,
    seed: int,
) -> RoundRobin:
    """The streams `plans`, those of one rank, in turn.

    Args:
        plans: at least one.
        structures: indices per head, of all heads that the plans name.
        sizes: atoms and edges of every structure that an index may point to.
        limits: of one batch.
        seed: of the draws.

    Raises:
        DataError: a head without structures, or with one that is larger than a batch may be.
    """
    heads = list(dict.fromkeys(name for plan in plans for name in plan.heads))
    for name in heads:
        index = structures[name]
        check_sizes(name, sizes[0][index], sizes[1][index], limits)
    return RoundRobin(
        [
            MixedSampler(
                {name: structures[name] for name in plan.heads},
                plan.heads,
                sizes,
                limits,
                seed,
                plan.stream,
            )
            for plan in plans
        ]
    )


def _counts(totals: Sequence[float], n_streams: int) -> list[int]:
    """Streams per group: at least one, then to the group that is shortest of its due."""
    counts = [1] * len(totals)
    for _ in range(n_streams - len(totals)):
        due = [total * n_streams - count for total, count in zip(totals, counts, strict=True)]
        counts[int(np.argmax(due))] += 1
    return counts
