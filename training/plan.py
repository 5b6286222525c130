"""How often each head will be drawn, by which streams and ranks: decided and shown before a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atomfm_calc.errors import ConfigError
from training.config import PretrainConfig
from training.data.mixing import capped, weights
from training.data.streams import (
    StreamPlan,
    one_group_per_head,
    plan_streams,
    ranks_of_heads,
    streams_of_rank,
)
from training.parallel.strategies import HEADS_IN_GROUPS


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What follows from the configuration, the sizes of the heads and the number of ranks."""

    sizes: dict[str, int]
    """Head -> training structures."""
    asked: dict[str, float]
    """Head -> part of the draws that the mixing rule gives it."""
    streams: tuple[StreamPlan, ...]
    """Of all ranks; one batch of each makes a step."""
    world_size: int
    """Number of ranks."""
    max_samples: int | None
    """Structures drawn in the whole run, if that is what ends it."""

    @property
    def shares(self) -> dict[str, float]:
        """Head -> part of the batches that it gets from its streams."""
        total = dict.fromkeys(self.sizes, 0.0)
        for plan in self.streams:
            for name, probability in plan.heads.items():
                total[name] += probability / len(self.streams)
        return total

    @property
    def owners(self) -> dict[str, tuple[int, ...]]:
        """Head -> ranks that draw from it, in the order of the run's heads."""
        owners = ranks_of_heads(self.streams, self.world_size)
        return {name: owners[name] for name in self.sizes}

    def of_rank(self, rank: int) -> list[StreamPlan]:
        """The streams of a rank."""
        return [self.streams[i] for i in streams_of_rank(len(self.streams), rank, self.world_size)]

    def table(self) -> str:
        """For people: structures, part of the draws, structures drawn and passes, ranks."""
        width = max(len(name) for name in self.sizes)
        rows = [f"{'head':<{width}}   structures   draws     samples   passes  ranks"]
        for name, share in self.shares.items():
            samples = "-" if self.max_samples is None else f"{share * self.max_samples:.0f}"
            passes = (
                "-"
                if self.max_samples is None
                else f"{share * self.max_samples / self.sizes[name]:.2f}"
            )
            rows.append(
                f"{name:<{width}}  {self.sizes[name]:>11,}  {share:>6.1%}  {samples:>10}"
                f"  {passes:>7}  {_ranges(self.owners[name])}"
            )
        each = len(self.streams) // self.world_size
        rows.append(
            f"{len(self.streams)} batches per step on {self.world_size} ranks, {each} on each"
        )
        if self.max_samples is None:
            rows.append("samples and passes are not known: the run ends by steps or time")
        return "\n".join(rows)


def make_plan(config: PretrainConfig, sizes: Mapping[str, int], world_size: int) -> RunPlan:
    """Decide who draws what.

    Args:
        config: of the run.
        sizes: training structures of each of its heads.
        world_size: number of ranks.

    Raises:
        ConfigError: strategy and number of ranks, or head groups and batches, do not go together.
        DataError: a head without structures, or more draws than `mixing.max_passes` allows.
    """
    mixing, parallel = config.mixing, config.parallel
    parallel.check_world_size(world_size)
    asked = weights(sizes, mixing.rule, mixing.temperature, mixing.factors)
    max_samples = config.fit.duration.max_samples
    if mixing.max_passes is not None:
        if max_samples is None:
            raise ConfigError(
                "mixing.max_passes needs to know how many structures a run draws; set "
                "fit.duration.max_samples"
            )
        asked = capped(asked, sizes, max_samples, mixing.max_passes)
    groups = parallel.head_groups
    if not groups and parallel.strategy in HEADS_IN_GROUPS:
        groups = one_group_per_head(asked, parallel.batches_per_step)
    return RunPlan(
        sizes=dict(sizes),
        asked=asked,
        streams=plan_streams(asked, parallel.batches_per_step, groups),
        world_size=world_size,
        max_samples=max_samples,
    )


def _ranges(ranks: tuple[int, ...]) -> str:
    """Neighboring ranks as ranges, such as "0-3, 8"."""
    parts: list[list[int]] = []
    for rank in ranks:
        if parts and parts[-1][-1] == rank - 1:
            parts[-1].append(rank)
        else:
            parts.append([rank])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
