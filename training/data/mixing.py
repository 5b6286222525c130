"""How often each head is drawn, from the sizes of their training sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from atomfm_calc.errors import DataError, lookup

MIXING_RULES: dict[str, Callable[[float], float]] = {
    "proportional": lambda temperature: 1.0,
    "equal": lambda temperature: 0.0,
    "temperature": lambda temperature: 1.0 / temperature,
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
        rule: key of `MIXING_RULES`; "temperature" is proportional at 1 and equal at infinity.
        temperature: above 0.
        factors: multiply the result per head, 1 where absent.

    Raises:
        UnknownNameError: no such rule, or a factor for a head that there is not.
        DataError: a head without structures, or a temperature that is not above 0.
    """
    exponent_of = lookup(MIXING_RULES, rule, "mixing rule")
    empty = [name for name, size in sizes.items() if size < 1]
    if empty or not temperature > 0.0:
        raise DataError(f"mixing: temperature {temperature}, heads without structures: {empty}")
    for name in factors or {}:
        lookup(sizes, name, "head", "the mixture")
    exponent = exponent_of(temperature)
    raw = {
        name: (factors or {}).get(name, 1.0) * float(size) ** exponent
        for name, size in sizes.items()
    }
    total = float(np.sum(list(raw.values())))
    return {name: value / total for name, value in raw.items()}
