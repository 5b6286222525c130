"""How often each head is drawn, from the sizes of their training sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from atomfm_calc.errors import DataError, listing, lookup

MIXING_RULES: dict[str, Callable[[float], float]] = {
    "proportional": lambda temperature: 1.0,
    "equal": lambda temperature: 0.0,
    "temperature": lambda temperature: 1.0 / temperature,
    "explicit": lambda temperature: 0.0,
}
"""Exponent of the size: a head of n structures is drawn in proportion to n ** exponent."""


def weights(
    sizes: Mapping[str, int],
    rule: str,
    temperature: float = 1.0,
    factors: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Probability of each head; they add up to 1.

    Args:
        sizes: training structures per head, all above 0.
        rule: key of `MIXING_RULES`; "temperature" is proportional at 1 and equal at infinity,
            "explicit" follows the factors alone and needs one for every head.
        temperature: above 0.
        factors: multiply the result per head, 1 where absent.

    Raises:
        UnknownNameError: no such rule, or a factor for a head that there is not.
        DataError: a head without structures or, with "explicit", without a factor; a factor or a
            temperature that is not above 0.
    """
    exponent_of = lookup(MIXING_RULES, rule, "mixing rule")
    factors = factors or {}
    empty = [name for name, size in sizes.items() if size < 1]
    if empty or not temperature > 0.0:
        raise DataError(f"mixing: temperature {temperature}, heads without structures: {empty}")
    for name, factor in factors.items():
        lookup(sizes, name, "head", "the mixture")
        if not factor > 0.0:
            raise DataError(f"mixing: the factor of {name!r} is {factor}; leave the head out")
    missing = [name for name in sizes if name not in factors]
    if rule == "explicit" and missing:
        raise DataError(f"mixing: the rule explicit needs a factor for {listing(missing)} too")
    exponent = exponent_of(temperature)
    return _normalized(
        {name: factors.get(name, 1.0) * float(size) ** exponent for name, size in sizes.items()}
    )


def capped(
    probabilities: Mapping[str, float],
    sizes: Mapping[str, int],
    n_samples: int,
    max_passes: float,
) -> dict[str, float]:
    """Probabilities with which no head is drawn more than `max_passes` times over in a run.

    What a capped head gives up goes to the others in proportion to theirs, until none exceeds.

    Args:
        probabilities: of each head, adding up to 1.
        sizes: training structures per head.
        n_samples: draws in the whole run.
        max_passes: over the structures of a head, on average.

    Raises:
        DataError: all heads together have too few structures for so many draws.
    """
    limits = {name: max_passes * sizes[name] / n_samples for name in probabilities}
    if sum(limits.values()) < 1.0:
        raise DataError(
            f"mixing: {n_samples} draws are more than {max_passes} passes over the "
            f"{sum(sizes.values())} structures of all heads; raise mixing.max_passes or train less"
        )
    held: dict[str, float] = {}
    while True:
        free = {name: p for name, p in probabilities.items() if name not in held}
        rest, total = 1.0 - sum(held.values()), sum(free.values())
        shared = {name: p * rest / total for name, p in free.items()}
        exceeding = {name: limits[name] for name, p in shared.items() if p > limits[name]}
        if not exceeding:
            return {name: held[name] if name in held else shared[name] for name in probabilities}
        held |= exceeding
        if len(held) == len(probabilities):
            return _normalized(held)


def _normalized(values: Mapping[str, float]) -> dict[str, float]:
    total = float(np.sum(list(values.values())))
    return {name: value / total for name, value in values.items()}
