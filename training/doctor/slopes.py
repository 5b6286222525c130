"""Slopes of changes of energy over work, by least squares that single rows do not move."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_PAIRS = 15
TRUSTED = 0.6
"""Correlation from which a slope counts."""
ROUNDS = 4
FAR = 6.0
"""Residuals beyond this multiple of their median are left out."""

Floats = NDArray[np.float64]


class Slope(NamedTuple):
    """Change of energy over work."""

    value: float
    """1 if the units belong together; exact if all noise is in the work."""
    correlation: float
    """Between change and work."""
    n_pairs: int
    """Pairs that it is made from."""

    @property
    def lowest(self) -> float:
        """The slope if all noise were in the change: the truth is between this and `value`."""
        return self.value * self.correlation**2

    @property
    def is_trusted(self) -> bool:
        """Whether there are enough pairs that agree."""
        return self.n_pairs >= MIN_PAIRS and abs(self.correlation) > TRUSTED

    def is_off_by(self, factor: float) -> bool:
        """Whether the slope is negative, or beyond `factor` or its inverse however the noise is."""
        return self.value <= 0.0 or self.lowest > factor or self.value < 1.0 / factor


def fit_slope(change: Floats, work: Floats) -> Slope:
    """The slope of `change` over `work`, both [P] eV, without the pairs that are far off.

    The work is the inexact side (third derivatives), so it is fitted as a multiple of the change:
    least squares the other way round would give too small a slope.
    """
    kept = np.isfinite(change) & np.isfinite(work) & (np.abs(work) > 1e-7)
    change, work = change[kept], work[kept]
    if len(work) < 3:
        return Slope(math.nan, 0.0, len(work))
    # the median of the ratios of the larger changes is not moved by single rows
    large = np.abs(change) >= max(float(np.median(np.abs(change))), 1e-12)
    inverse = float(np.median(work[large] / change[large])) if large.any() else 0.0
    near = np.ones(len(work), dtype=bool)
    for _ in range(ROUNDS):
        residual = np.abs(work - inverse * change)
        near = residual <= FAR * np.median(residual) + 1e-12
        inverse = _plain_slope(work[near], change[near])
    n_near = int(near.sum())
    if n_near < 3 or inverse == 0.0:
        return Slope(math.nan, 0.0, n_near)
    both = np.sqrt((work[near] ** 2).sum() * (change[near] ** 2).sum())
    return Slope(1.0 / inverse, float((work * change)[near].sum() / max(both, 1e-30)), n_near)


def fit_two_slopes(change: Floats, first: Floats, second: Floats) -> tuple[float, float]:
    """Slopes of `change` over two works together, [P] eV each, without pairs that are far off."""
    size = np.array([max(float(np.std(work)), 1e-12) for work in (first, second)])
    works = np.stack([first, second], axis=1) / size  # units may differ by thousands
    near = np.ones(len(change), dtype=bool)
    slopes = np.zeros(2)
    for _ in range(ROUNDS):
        slopes, *_ = np.linalg.lstsq(works[near], change[near], rcond=None)
        residual = np.abs(change - works @ slopes)
        near = residual <= FAR * np.median(residual) + 1e-12
    return float(slopes[0] / size[0]), float(slopes[1] / size[1])


def _plain_slope(change: Floats, work: Floats) -> float:
    return float((change * work).sum() / max(float((work**2).sum()), 1e-30))
