"""The loops of `cpu_geometry`; x [N, 3], cell [S, 3, 3], batch [N], edges [2, E], shift [E, 3]."""

from __future__ import annotations

from typing import Any

import numpy as np

from atomfm_calc.kernels.cpu_loops import COMPILE, COMPILE_WITH_ROOM, Array, Numbers


@COMPILE
def _vector(x: Array, cell: Array, batch: Array, edges: Array, shift: Array, e: int) -> Numbers:
    """From center to neighbor, Å."""
    i, j = edges[0, e], edges[1, e]
    own, a, b, c = cell[batch[i]], shift[e, 0], shift[e, 1], shift[e, 2]
    return (
        x[j, 0] - x[i, 0] + (a * own[0, 0] + b * own[1, 0] + c * own[2, 0]),
        x[j, 1] - x[i, 1] + (a * own[0, 1] + b * own[1, 1] + c * own[2, 1]),
        x[j, 2] - x[i, 2] + (a * own[0, 2] + b * own[1, 2] + c * own[2, 2]),
    )


@COMPILE
def _add_gradient(i: int, j: int, shift: Array, of_cell: Array, g: Numbers, dx: Array) -> None:
    """Add the gradient g by the vector from i to j to those by positions and by their cell."""
    for k in range(3):
        dx[j, k] += g[k]
        dx[i, k] -= g[k]
        for row in range(3):
            of_cell[row, k] += shift[row] * g[k]


@COMPILE
def edge_vectors(x: Array, cell: Array, batch: Array, edges: Array, shift: Array, r: Array) -> None:
    """Put the vectors into r [E, 3]."""
    for e in range(len(r)):
        r[e, 0], r[e, 1], r[e, 2] = _vector(x, cell, batch, edges, shift, e)


@COMPILE
def edge_vectors_gradient(
    batch: Array, edges: Array, shift: Array, g: Array, dx: Array, dcell: Array
) -> None:
    """Add to the gradients by positions and cells, for that by the vectors g [E, 3]."""
    for e in range(len(g)):
        i, j = edges[0, e], edges[1, e]
        _add_gradient(i, j, shift[e], dcell[batch[i]], (g[e, 0], g[e, 1], g[e, 2]), dx)


@COMPILE
def _pair(distance: float, charges: float, length: float, reach: float, law: Numbers) -> Numbers:
    """Energy of a pair, eV, and its derivative by the distance, eV/Å."""
    exponents, amplitudes, unit, envelope_power = law
    screening = slope = 0.0
    for k in range(len(exponents)):
        part = amplitudes[k] * np.exp(-distance / length * exponents[k])
        screening += part
        slope -= part * exponents[k] / length
    ratio = distance / reach
    series, factor, power = 0.0, 0.0, 1.0
    for k in range(envelope_power):
        series += 0.5 * (k + 1) * (k + 2) * power
        factor = power  # ratio to one less than the power of the envelope
        power *= ratio
    left = 1.0 - ratio
    envelope = left * left * left * series
    p = envelope_power
    fall = -0.5 * p * (p + 1) * (p + 2) * factor * left * left / reach
    coulomb = unit * charges / distance
    change = (slope - screening / distance) * envelope + screening * fall
    return coulomb * screening * envelope, coulomb * change


@COMPILE_WITH_ROOM
def repulsion(
    x: Array, cell: Array, batch: Array, edges: Array, shift: Array, z: Array, radii: Array,
    powers: Array, law: Numbers,
) -> tuple[Any, ...]:  # fmt: skip
    """Half of each pair energy at each of its two atoms, for elements z [N] and a `RepulsionLaw`.

    Returns:
        energies [N], the edges that repel [P], the gradient of half of each pair energy by the
        vector of the edge [P, 3].
    """
    energies = np.zeros(len(x))
    n_edges, n_close = edges.shape[1], 0
    close = np.empty(64, np.int64)
    for e in range(n_edges):
        rx, ry, rz = _vector(x, cell, batch, edges, shift, e)
        reach = radii[z[edges[0, e]]] + radii[z[edges[1, e]]]
        if rx * rx + ry * ry + rz * rz < reach * reach:
            if n_close == len(close):
                more = np.empty(2 * n_close, np.int64)
                for k in range(n_close):
                    more[k] = close[k]
                close = more
            close[n_close] = e
            n_close += 1
    close = close[:n_close]
    slopes = np.empty((n_close, 3))
    for k in range(n_close):
        e = close[k]
        one, other = z[edges[0, e]], z[edges[1, e]]
        rx, ry, rz = _vector(x, cell, batch, edges, shift, e)
        distance = np.sqrt(np.float64(rx) * rx + np.float64(ry) * ry + np.float64(rz) * rz)
        length, reach = 1.0 / (powers[one] + powers[other]), radii[one] + radii[other]
        energy, change = _pair(distance, np.float64(one * other), length, reach, law)
        energies[edges[0, e]] += 0.5 * energy
        along = 0.5 * change / distance
        slopes[k, 0], slopes[k, 1], slopes[k, 2] = along * rx, along * ry, along * rz
    return energies, close, slopes


@COMPILE
def repulsion_gradient(
    batch: Array, edges: Array, shift: Array, close: Array, slopes: Array,
    g: Array, dx: Array, dcell: Array,
) -> None:  # fmt: skip
    """Add to the gradients by positions and cells, for that by the energies g [N]."""
    for k in range(len(close)):
        e = close[k]
        i, j = edges[0, e], edges[1, e]
        own = (g[i] * slopes[k, 0], g[i] * slopes[k, 1], g[i] * slopes[k, 2])
        _add_gradient(i, j, shift[e], dcell[batch[i]], own, dx)
