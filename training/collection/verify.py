"""Checks that a shard is what its plan makes: structures bit by bit, labels to 1e-6 eV."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError, lookup
from atomfm_calc.sample import Sample
from training.collection.engines import ENGINES
from training.collection.extxyz import read_shard
from training.collection.plan import CollectionPlan, shards_in_order
from training.collection.runner import generate, read_records

TOLERANCE = 1e-6
"""Allowed difference of energies in eV."""


@dataclass(frozen=True, kw_only=True)
class ShardReport:
    """What a check of a shard found."""

    shard: str
    """File name."""
    n_structures: int
    """Structures compared."""
    changed: tuple[str, ...]
    """Sources of the structures that came out differently."""
    n_labels: int
    """Structures labeled again."""
    largest_difference: float
    """Largest difference of an energy in eV."""
    file_is_unchanged: bool
    """Whether the file has the checksum on record."""

    @property
    def is_same(self) -> bool:
        """Whether the shard is what the plan makes."""
        labels_agree = self.largest_difference <= TOLERANCE
        return self.file_is_unchanged and not self.changed and labels_agree


def verify_shard(plan: CollectionPlan, folder: Path, name: str, n_labels: int) -> ShardReport:
    """Generate a shard's structures again and label some of them again.

    Args:
        plan: the plan that the shard was made with.
        folder: of the collection.
        name: file name of the shard.
        n_labels: structures to label again, spread over the shard.

    Raises:
        UnknownNameError: the plan has no such shard.
        DataError: the folder has no finished shard of this name.
    """
    shard = lookup(
        {shard.name: shard for shard in shards_in_order(plan)}, name, "shard", "the plan"
    )
    records = read_records(folder)
    if name not in records:
        raise DataError(f"{folder} has no finished shard {name!r}; run the plan first")
    path = folder / shard.plan.name / name
    stored = read_shard(path)
    again = [generate(shard.plan, _index(sample)) for sample in stored]
    changed = [new.source for old, new in zip(stored, again, strict=True) if not _same(old, new)]
    engine = lookup(ENGINES, shard.plan.engine, "label engine", "the collection")(
        shard.plan.engine_options
    )
    chosen = sorted({int(place) for place in np.linspace(0, len(stored) - 1, n_labels)})
    differences = [
        abs(float(engine.label(again[place])["energy"] - stored[place].targets["energy"]))
        for place in chosen
    ]
    return ShardReport(
        shard=name,
        n_structures=len(stored),
        changed=tuple(changed),
        n_labels=len(chosen),
        largest_difference=max(differences, default=0.0),
        file_is_unchanged=hashlib.sha256(path.read_bytes()).hexdigest() == records[name].sha256,
    )


def _index(sample: Sample) -> int:
    """Generator index from the source "SET#INDEX:WHAT"."""
    return int(sample.source.split("#")[1].split(":")[0])


def _same(first: Sample, second: Sample) -> bool:
    return (
        np.array_equal(first.atomic_numbers, second.atomic_numbers)
        and np.array_equal(first.positions, second.positions)
        and np.array_equal(first.cell, second.cell)
        and np.array_equal(first.pbc, second.pbc)
        and (first.charge, first.multiplicity) == (second.charge, second.multiplicity)
        and first.source == second.source
    )
