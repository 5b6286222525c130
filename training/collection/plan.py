"""The plan of a collection: its sets, how each is generated, labeled and cut into shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from atomfm_calc.errors import ConfigError

_STRICT = ConfigDict(extra="forbid")


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class SetPlan:
    """One set: structures of one generator, labeled by one engine, for one head."""

    name: str
    """Folder and file name of the set."""
    head: str
    """Head that learns from the set; sets of one head share engine and settings."""
    generator: str
    """Entry of `GENERATORS`."""
    generator_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the generator."""
    engine: str
    """Entry of `ENGINES`."""
    engine_options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the engine."""
    count: int
    """Structures to generate; failures are not replaced."""
    shard_size: int
    """Structures in one shard file."""
    seed: int
    """Seed of the generator."""
    seconds: float
    """Rough time of one label; only the order of the shards depends on it."""
    share: float = 1.0
    """Part of the running time that the set should get, relative to the other sets."""
    position_decimals: int = 8
    """Decimals of positions in Å, 8 at most; the rounded structure is the one that is labeled."""
    force_decimals: int = 7
    """Decimals of forces in eV/Å. Digits cost bytes, and a model needs no more than four."""


@checked_dataclass(frozen=True, kw_only=True, config=_STRICT)
class CollectionPlan:
    """All sets of a collection."""

    sets: tuple[SetPlan, ...]
    """Sets with different names."""

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.sets]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"set names must differ; repeated: {', '.join(repeated)}")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A run of structures of one set, labeled by one worker and written to one file."""

    plan: SetPlan
    """Set that the shard belongs to."""
    number: int
    """Counts from 0 within the set."""

    @property
    def name(self) -> str:
        """File name without folder."""
        return f"{self.plan.name}-{self.number:04d}.extxyz.gz"

    @property
    def indices(self) -> range:
        """Generator indices of the shard."""
        first = self.number * self.plan.shard_size
        return range(first, min(first + self.plan.shard_size, self.plan.count))


def load_plan(path: Path) -> CollectionPlan:
    """Read a plan from YAML.

    Raises:
        ConfigError: unknown key, missing key or wrong value; names file and key.
    """
    try:
        content: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return TypeAdapter(CollectionPlan).validate_python(content)
    except (ValidationError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error


def shards_in_order(plan: CollectionPlan) -> list[Shard]:
    """All shards, interleaved so that every set gets its share of the running time throughout."""
    due: list[tuple[float, int, Shard]] = []
    for rank, entry in enumerate(plan.sets):
        n_shards = -(-entry.count // entry.shard_size)
        step = entry.shard_size * entry.seconds / entry.share
        due.extend(
            (step * number, rank, Shard(plan=entry, number=number)) for number in range(n_shards)
        )
    return [shard for _, _, shard in sorted(due, key=lambda item: item[:2])]
