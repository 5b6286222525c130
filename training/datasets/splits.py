"""Held-out structures by key: no reduced formula, or trajectory, stands in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, composition_key


def split_by_group(
    samples: Sequence[Sample],
    fractions: Mapping[str, float],
    seed: int,
    never_held_out: Collection[str] = (),
) -> dict[str, list[int]]:
    """Positions of the samples of each split.

    A group is what `Sample.group` says, or the composition of samples that say none. Its split
    depends on its name, or reduced formula, and the seed only: not on the other samples, so it is
    the same in every dataset and stays when a dataset grows.

    Args:
        samples: only their atomic numbers and groups are read.
        fractions: split -> part of the groups, adding up to 1.
        seed: another seed is another division.
        never_held_out: compositions, as `composition_key` writes them, that stay in the first
            split; the others are divided as without them.

    Raises:
        DataError: fractions below 0 or that do not add up to 1.
    """
    check_fractions(fractions)
    members: dict[str, list[int]] = {name: [] for name in fractions}
    for position, sample in enumerate(samples):
        composition = composition_key(sample)
        if composition in never_held_out:
            members[next(iter(fractions))].append(position)
        else:
            members[split_of(sample.group or composition, fractions, seed)].append(position)
    return members


def split_of(key: str, fractions: Mapping[str, float], seed: int) -> str:
    """The split of everything with this key: a composition, a trajectory, a record.

    It depends on the key and the seed only, not on what else there is.

    Args:
        key: what is held out together.
        fractions: split -> part of the keys, adding up to 1 (see `check_fractions`).
        seed: another seed is another division.
    """
    place, end = _place(key, seed), 0.0
    for name, fraction in fractions.items():
        end += fraction
        if place < end:
            return name
    return next(iter(fractions))


def check_fractions(fractions: Mapping[str, float]) -> None:
    """DataError for fractions below 0 or that do not add up to 1."""
    if min(fractions.values()) < 0.0 or abs(sum(fractions.values()) - 1.0) > 1e-9:
        raise DataError(f"split fractions are {dict(fractions)}; they must add up to 1")


def _place(key: str, seed: int) -> float:
    """A number from 0 to 1 that looks random but is fixed for a key."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
