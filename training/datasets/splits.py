"""Held-out structures by composition: no reduced formula stands in two splits."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, composition_key


def split_by_composition(
    samples: Sequence[Sample],
    fractions: Mapping[str, float],
    seed: int,
    never_held_out: Collection[str] = (),
) -> dict[str, list[int]]:
    """Positions of the samples of each split.

    The split of a composition depends on its reduced formula and the seed only: not on the other
    samples, so it is the same in every dataset and stays when a dataset grows.

    Args:
        samples: only their atomic numbers are read.
        fractions: split -> part of the compositions, adding up to 1.
        seed: another seed is another division.
        never_held_out: compositions, as `composition_key` writes them, that stay in the first
            split; the others are divided as without them.

    Raises:
        DataError: fractions below 0 or that do not add up to 1.
    """
    if min(fractions.values()) < 0.0 or abs(sum(fractions.values()) - 1.0) > 1e-9:
        raise DataError(f"split fractions are {dict(fractions)}; they must add up to 1")
    members: dict[str, list[int]] = {name: [] for name in fractions}
    for position, sample in enumerate(samples):
        composition = composition_key(sample)
        place = 0.0 if composition in never_held_out else _place(composition, seed)
        chosen, end = next(iter(fractions)), 0.0
        for name, fraction in fractions.items():
            end += fraction
            if place < end:
                chosen = name
                break
        members[chosen].append(position)
    return members


def _place(composition: str, seed: int) -> float:
    """A number from 0 to 1 that looks random but is fixed for a composition."""
    digest = hashlib.sha256(f"{seed}:{composition}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
