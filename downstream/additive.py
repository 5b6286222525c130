"""The part of a property that the composition explains, from few structures.

Ridge regression of the value per atom on the fractions of the elements, around the mean. With fewer
structures than elements a plain fit explains the training values and nothing else, which leaves the
network nothing to learn; so the penalty is the one with the smallest leave-one-out error, which has
a closed form (Golub, Heath and Wahba, Technometrics 21, 215 (1979)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTIES = 10.0 ** np.arange(-4.0, 5.0, 0.5)
"""Tried; the largest is next to the mean alone."""


class Additive(NamedTuple):
    """What a composition says about a value."""

    references: Floats
    """[119] per atom, in the unit of the value; those of absent elements are the mean"""
    deviation: float
    """Root mean square of the leave-one-out errors of the value per atom: what is left to learn"""


def fit_additive(counts: Floats, per_atom: Floats) -> Additive:
    """Fit element contributions to values per atom.

    Args:
        counts: [S, 119] atoms of each element.
        per_atom: [S] intensive values, or extensive ones divided by the number of atoms.
    """
    fractions = counts / counts.sum(axis=1, keepdims=True)
    center, mean = fractions.mean(axis=0), float(per_atom.mean())
    left, singular, right = np.linalg.svd(fractions - center, full_matrices=False)
    projected = left.T @ (per_atom - mean)  # [min(S, 119)]
    best: tuple[float, Floats] | None = None
    for penalty in PENALTIES:
        shrink = singular**2 / (singular**2 + penalty)
        error = per_atom - mean - left @ (shrink * projected)
        # the mean is fitted as well: 1 / S of each value's own weight
        own = (left**2) @ shrink + 1.0 / len(per_atom)
        outside = float(np.sqrt(np.mean((error / np.maximum(1.0 - own, 1e-12)) ** 2)))
        if best is None or outside < best[0]:
            inverse = singular / (singular**2 + penalty)
            best = outside, right.T @ (inverse * projected)
    deviation, slopes = best if best is not None else (0.0, np.zeros(counts.shape[1]))
    return Additive(references=mean + slopes - float(center @ slopes), deviation=deviation)
