"""`FilterTable`: radial filters on a grid of distances, read by fifth-order Hermite interpolation.

With frozen weights a filter is a function of the distance alone, so an inference kernel need not
evaluate it edge by edge. The table holds value, slope and curvature of every filter at equidistant
nodes; the interpolating polynomials and their first two derivatives are continuous.

Errors (Birkhoff and Priver, J. Math. and Phys. 46, 440 (1967)), for a step h and the largest sixth
derivative f6 of a filter: h⁶ f6 / 46080 in its value, √5 h⁵ f6 / 30000 in its slope. A radial basis
function of order n with its cutoff function oscillates at most like n + 1 half waves in the
cutoff, so both are set by the number of nodes per half wave of the steepest one (`NODES`): with 13
the relative error of a slope is below 1e-6, with 52 below 1e-9, and mostly a tenth of these. In
float32 there is also the rounding of the values, 1e-7 of the largest over a step in a slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

NODES: dict[torch.dtype, int] = {torch.float32: 13, torch.float64: 52}
"""Intervals per half wave of the radial basis function of highest order, by data type."""

FIRST_NODE = 0.2
"""Steps from zero, where sin(x)/x cannot be evaluated, to the first node: below it the polynomial
is continued, which adds no error: |t³ (1 - t)³| is 0.014 at -0.2 and 0.016 at 0.5."""

Filters = Callable[[Tensor], Tensor]
"""Distances [E] in Å -> filters [E, 3F], zero at and beyond the cutoff."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FilterTable:
    """Filters between 0 and the cutoff, in the data type of the network."""

    rows: Tensor
    """[3 (M + 1), 3F]: value, slope times step, curvature times step² at each node in turn"""
    origin: float
    """Distance of the first node, Å"""
    step: float
    """Å"""
    cutoff: float
    """Å; filters are zero at and beyond it"""
    exact: Filters
    """The function itself, in the data type of the network, for derivatives of derivatives"""

    @property
    def n_intervals(self) -> int:
        """Number of intervals M."""
        return self.rows.shape[0] // 3 - 1

    @property
    def grid(self) -> tuple[float, float, float, int]:
        """Origin, intervals per Å, cutoff, number of intervals."""
        return self.origin, 1.0 / self.step, self.cutoff, self.n_intervals


def tabulate(
    filters: Filters, cutoff: float, n_radial: int, dtype: torch.dtype, exact: Filters
) -> FilterTable:
    """Make the table of a function.

    Args:
        filters: takes and gives float64, is differentiable twice.
        cutoff: Å.
        n_radial: order of its steepest radial basis function.
        dtype: of the table; float32 or float64, and float32's grid for all others.
        exact: the same function in `dtype`.
    """
    n_intervals = NODES.get(dtype, NODES[torch.float32]) * (n_radial + 1)
    step = cutoff / (n_intervals + FIRST_NODE)
    distances = step * (FIRST_NODE + torch.arange(n_intervals + 1, dtype=torch.float64))
    # from the left: the curvature of a cosine cutoff is not continuous there
    distances = distances.clamp(max=cutoff * (1.0 - 1e-12))
    slope = _derivative(filters)
    slopes, curvatures = step * slope(distances), step**2 * _derivative(slope)(distances)
    rows = torch.stack([filters(distances), slopes, curvatures], dim=1).detach()
    return FilterTable(
        rows=rows.flatten(0, 1).to(dtype).contiguous(),
        origin=FIRST_NODE * step,
        step=step,
        cutoff=cutoff,
        exact=exact,
    )


def _derivative(filters: Filters) -> Filters:
    """All columns' derivatives at once: the gradient is linear in what it is multiplied with.

    `torch.func.jvp` does the same, but its first call takes two seconds (torch 2.13).
    """

    def derivative(distances: Tensor) -> Tensor:
        with torch.enable_grad():
            distances = distances if distances.requires_grad else distances.requires_grad_(True)
            values = filters(distances)
            factors = torch.ones_like(values, requires_grad=True)
            (total,) = torch.autograd.grad(values, distances, factors, create_graph=True)
            (slopes,) = torch.autograd.grad(total.sum(), factors, create_graph=True)
        return slopes

    return derivative


def error_bounds(
    weight: Tensor, bias: Tensor, cutoff: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Bounds of the interpolation error of value and slope (per Å) of each filter, rounding apart.

    sin(a r)/r is the integral of cos(k r) over k from 0 to a, and the cosine cutoff moves k by
    π/cutoff, so the sixth derivative of the n-th function is at most the integral of
    (k + π/cutoff)⁶: √(2/cutoff) ((n + 1) π/cutoff)⁷ / 7.

    Args:
        weight: [3F, R] of the radial basis functions in order.
        bias: [3F].
        cutoff: Å.
        dtype: of the table.
    """
    n_radial = weight.shape[1]
    wave = math.pi / cutoff
    order = torch.arange(2, n_radial + 2, dtype=torch.float64)
    highest = math.sqrt(2.0 / cutoff) * (order * wave) ** 7 / 7.0
    sixth = weight.abs().to(torch.float64) @ highest + 0.5 * bias.abs() * wave**6
    step = cutoff / (NODES[dtype] * (n_radial + 1) + FIRST_NODE)
    return step**6 / 46080.0 * sixth, math.sqrt(5.0) * step**5 / 30000.0 * sixth
