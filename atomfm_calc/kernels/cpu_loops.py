"""The loops of the CPU kernel (the Numba door): one pass over the edges each, compiled.

Every loop runs over one side of the edges, the center or the neighbor, and writes to that atom and
to its own edges only: no two threads write to the same place, and no sum depends on their number.

T: rows of a `FilterTable`; k [E], C [E, 12]: from `places_in_table`. S, V, W, U: states [N, 3, F],
vectors [N, 3, F], filters [E, 3, F], directions [E, 3] of `reference`; d distances [E]; gs, gv the
gradients that come in. The parts of S, W and T belong to the scalars, to vectors along the
directions, and to vectors of the neighbors. L is the scalar whose gradient is taken.

A loop over channels names its rows first and touches few arrays: LLVM compares all addresses that
are written with all others before it uses vector registers, and gives up beyond 128 comparisons.
For the same reason no whole number meets a float32, which Numba would turn into a float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from atomfm_calc.kernels import cpu_edges as one_edge

Array = NDArray[Any]
Numbers = tuple[Any, ...]

# reassociation lets sums over channels use vector registers; NaN and infinity keep their meaning
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz"},
}
COMPILE: Callable[[Any], Any] = numba.njit(**_OPTIONS, _nrt=False)
"""Makes a loop fast: compiled at the first call, kept on disk, free of Python's lock. It does not
count who uses an array, a tenth of the time where many rows are named, and so can make none."""
COMPILE_EXACTLY: Callable[[Any], Any] = numba.njit(
    **_OPTIONS | {"fastmath": {"contract"}}, _nrt=False
)
"""The same without reassociation, for loops that count on the rounding of a sum."""
COMPILE_WITH_ROOM: Callable[[Any], Any] = numba.njit(**_OPTIONS)
"""The same for functions that make arrays."""


@COMPILE_WITH_ROOM
def transpose(center: Array, neighbor: Array, n_atoms: int) -> tuple[Array, Array, Array]:
    """First edge of each center [N + 1]; the same for neighbors, and the edges in their order."""
    center_start = np.zeros(n_atoms + 1, np.int64)
    neighbor_start = np.zeros(n_atoms + 1, np.int64)
    for e in range(len(center)):
        center_start[center[e] + 1] += 1
        neighbor_start[neighbor[e] + 1] += 1
    for i in range(n_atoms):
        center_start[i + 1] += center_start[i]
        neighbor_start[i + 1] += neighbor_start[i]
    order = np.empty(len(center), np.int64)
    place = neighbor_start.copy()
    for e in range(len(center)):
        order[place[neighbor[e]]] = e
        place[neighbor[e]] += 1
    return center_start, neighbor_start, order


@COMPILE
def _interval(distance: Any, grid: Numbers) -> Numbers:
    """Interval of the grid and the place in it, 0 to 1; (-1, 0) at and beyond the cutoff."""
    origin, per_step, cutoff, n_intervals = grid
    if distance >= cutoff:
        return -1, 0.0
    if not distance < cutoff:
        return 0, np.nan
    steps = (distance - origin) * per_step
    k = min(max(int(steps), 0), n_intervals - 1)
    return k, steps - k


@COMPILE
def _hermite(t: float, real: Any) -> Numbers:
    """Quintic Hermite polynomials: value, slope, curvature at the left node, at the right one."""
    u = 1.0 - t
    a, b = t * t * t, u * u * u
    return (
        real(b * (1.0 + 3.0 * t + 6.0 * t * t)),
        real(t * b * (1.0 + 3.0 * t)),
        real(0.5 * t * t * b),
        real(a * (1.0 + 3.0 * u + 6.0 * u * u)),
        real(-u * a * (1.0 + 3.0 * u)),
        real(0.5 * u * u * a),
    )


@COMPILE
def _hermite_slopes(t: float, per_step: float, real: Any) -> Numbers:
    """Derivatives of `_hermite` with respect to the distance."""
    u = 1.0 - t
    a, b = per_step * t * t, per_step * u * u
    return (
        real(-30.0 * a * u * u),
        real(b * (1.0 - 3.0 * t) * (1.0 + 5.0 * t)),
        real(t * b * (1.0 - 2.5 * t)),
        real(30.0 * a * u * u),
        real(a * (1.0 - 3.0 * u) * (1.0 + 5.0 * u)),
        real(-u * a * (1.0 - 2.5 * u)),
    )


@COMPILE
def places_in_table(d: Array, grid: Numbers, k: Array, C: Array) -> None:
    """First row of the table for each distance, -1 beyond the cutoff, and what its rows count.

    Args:
        d: [E] Å.
        grid: of the table.
        k: [E], is written to.
        C: [E, 12], is written to: factors of six rows for the filters, then for their slopes.
    """
    real = C.dtype.type
    for e in range(len(d)):
        interval, t = _interval(d[e], grid)
        k[e] = 3 * interval if interval >= 0 else -1
        if interval >= 0:
            C[e, 0], C[e, 1], C[e, 2], C[e, 3], C[e, 4], C[e, 5] = _hermite(t, real)
            C[e, 6], C[e, 7], C[e, 8], C[e, 9], C[e, 10], C[e, 11] = _hermite_slopes(
                t, grid[1], real
            )


@COMPILE
def add_tabulated(
    first: int, last: int, start: Array, neighbor: Array,
    S: Array, V: Array, T: Array, k: Array, C: Array, U: Array, s: Array, v: Array,
) -> None:  # fmt: skip
    """Messages with filters from a table; V without channels counts as zeros."""
    has_vectors = V.shape[2] > 0
    for i in range(first, last):
        for e in range(start[i], start[i + 1]):
            if k[e] < 0:
                continue
            j, u = neighbor[e], (U[e, 0], U[e, 1], U[e, 2])
            c = (C[e, 0], C[e, 1], C[e, 2], C[e, 3], C[e, 4], C[e, 5])
            if has_vectors:
                one_edge.add_message(T, k[e], c, S, V, j, u, s, v, i)
            else:
                one_edge.add_first_message(T, k[e], c, S, V, j, u, s, v, i)


@COMPILE_WITH_ROOM
def add_tabulated_gradient(
    first: int, last: int, start: Array, order: Array, center: Array,
    S: Array, V: Array, T: Array, k: Array, C: Array, U: Array, gs: Array, gv: Array,
    dS: Array, dV: Array, dd: Array, dU: Array,
) -> None:  # fmt: skip
    """DS, dV, dd, dU: gradients of L = <gs, s> + <gv, v> of `add_tabulated` are added."""
    has_vectors = V.shape[2] > 0
    n_columns = (3 if has_vectors else 2) * gs.shape[1]
    W, Z = np.empty((1, n_columns), T.dtype), np.empty((1, n_columns), T.dtype)
    for j in range(first, last):
        for position in range(start[j], start[j + 1]):
            e = order[position]
            if k[e] < 0:
                continue
            i, u = center[e], (U[e, 0], U[e, 1], U[e, 2])
            c = (C[e, 0], C[e, 1], C[e, 2], C[e, 3], C[e, 4], C[e, 5])
            b = (C[e, 6], C[e, 7], C[e, 8], C[e, 9], C[e, 10], C[e, 11])
            one_edge.put_filters(T, k[e], c, b, n_columns, W, Z)
            if has_vectors:
                slope, x, y, z = one_edge.add_gradient(W, Z, S, V, j, u, gs, gv, i, dS, dV)
            else:
                slope, x, y, z = one_edge.add_first_gradient(W, Z, S, V, j, u, gs, gv, i, dS, dV)
            dd[e] += slope
            dU[e, 0] += x
            dU[e, 1] += y
            dU[e, 2] += z


@COMPILE
def messages(
    first: int, last: int, start: Array, neighbor: Array,
    S: Array, V: Array, W: Array, U: Array, s: Array, v: Array,
) -> None:  # fmt: skip
    """Messages with the filters of each edge."""
    F = s.shape[1]
    for i in range(first, last):
        si, vx, vy, vz = s[i], v[i, 0], v[i, 1], v[i, 2]
        for e in range(start[i], start[i + 1]):
            j, x, y, z = neighbor[e], U[e, 0], U[e, 1], U[e, 2]
            S0, S1, S2 = S[j, 0], S[j, 1], S[j, 2]
            W0, W1, W2 = W[e, 0], W[e, 1], W[e, 2]
            Vx, Vy, Vz = V[j, 0], V[j, 1], V[j, 2]
            for f in range(F):
                si[f] += S0[f] * W0[f]
                along, turn = S1[f] * W1[f], S2[f] * W2[f]
                vx[f] += along * x + turn * Vx[f]
                vy[f] += along * y + turn * Vy[f]
                vz[f] += along * z + turn * Vz[f]


@COMPILE
def gradient(
    first: int, last: int, start: Array, order: Array, center: Array,
    S: Array, V: Array, W: Array, U: Array, gs: Array, gv: Array,
    dS: Array, dV: Array, dW: Array, dU: Array,
) -> None:  # fmt: skip
    """DS .. dU: gradients of L = <gs, s> + <gv, v>."""
    F, real = gs.shape[1], U.dtype.type
    for j in range(first, last):
        S0, S1, S2 = S[j, 0], S[j, 1], S[j, 2]
        Vx, Vy, Vz = V[j, 0], V[j, 1], V[j, 2]
        D0, D1, D2 = dS[j, 0], dS[j, 1], dS[j, 2]
        dx, dy, dz = dV[j, 0], dV[j, 1], dV[j, 2]
        for position in range(start[j], start[j + 1]):
            e = order[position]
            i, x, y, z = center[e], U[e, 0], U[e, 1], U[e, 2]
            g, gx, gy, gz = gs[i], gv[i, 0], gv[i, 1], gv[i, 2]
            W0, W1, W2 = W[e, 0], W[e, 1], W[e, 2]
            Z0, Z1, Z2 = dW[e, 0], dW[e, 1], dW[e, 2]
            ux = uy = uz = real(0)
            for f in range(F):
                p1 = x * gx[f] + y * gy[f] + z * gz[f]
                D0[f] += W0[f] * g[f]
                D1[f] += W1[f] * p1
                Z0[f] = S0[f] * g[f]
                Z1[f] = S1[f] * p1
                along = S1[f] * W1[f]
                ux += along * gx[f]
                uy += along * gy[f]
                uz += along * gz[f]
            for f in range(F):
                p2 = Vx[f] * gx[f] + Vy[f] * gy[f] + Vz[f] * gz[f]
                D2[f] += W2[f] * p2
                Z2[f] = S2[f] * p2
                turn = S2[f] * W2[f]
                dx[f] += turn * gx[f]
                dy[f] += turn * gy[f]
                dz[f] += turn * gz[f]
            dU[e, 0] = ux
            dU[e, 1] = uy
            dU[e, 2] = uz


@COMPILE
def second_by_neighbor(
    first: int, last: int, start: Array, order: Array, center: Array,
    S: Array, V: Array, W: Array, U: Array, gs: Array, gv: Array,
    cS: Array, cV: Array, cW: Array, cU: Array,
    dS: Array, dV: Array, dW: Array, dU: Array,
) -> None:  # fmt: skip
    """DS .. dU: gradients of L = <cS, dS> + <cV, dV> + <cW, dW> + <cU, dU> of `gradient`."""
    F, real = gs.shape[1], U.dtype.type
    for j in range(first, last):
        S1, S2 = S[j, 1], S[j, 2]
        Vx, Vy, Vz = V[j, 0], V[j, 1], V[j, 2]
        c0, c1, c2 = cS[j, 0], cS[j, 1], cS[j, 2]
        vx, vy, vz = cV[j, 0], cV[j, 1], cV[j, 2]
        D0, D1, D2 = dS[j, 0], dS[j, 1], dS[j, 2]
        dx, dy, dz = dV[j, 0], dV[j, 1], dV[j, 2]
        for position in range(start[j], start[j + 1]):
            e = order[position]
            i, x, y, z = center[e], U[e, 0], U[e, 1], U[e, 2]
            cx, cy, cz = cU[e, 0], cU[e, 1], cU[e, 2]
            g, gx, gy, gz = gs[i], gv[i, 0], gv[i, 1], gv[i, 2]
            W1, W2 = W[e, 1], W[e, 2]
            w0, w1, w2 = cW[e, 0], cW[e, 1], cW[e, 2]
            Z0, Z1, Z2 = dW[e, 0], dW[e, 1], dW[e, 2]
            ux = uy = uz = real(0)
            for f in range(F):
                p1 = x * gx[f] + y * gy[f] + z * gz[f]
                q1 = cx * gx[f] + cy * gy[f] + cz * gz[f]
                D0[f] += w0[f] * g[f]
                D1[f] += w1[f] * p1 + W1[f] * q1
                Z0[f] = c0[f] * g[f]
                Z1[f] = c1[f] * p1 + S1[f] * q1
                a1 = c1[f] * W1[f] + w1[f] * S1[f]
                ux += a1 * gx[f]
                uy += a1 * gy[f]
                uz += a1 * gz[f]
            for f in range(F):
                p2 = Vx[f] * gx[f] + Vy[f] * gy[f] + Vz[f] * gz[f]
                q2 = vx[f] * gx[f] + vy[f] * gy[f] + vz[f] * gz[f]
                D2[f] += w2[f] * p2 + W2[f] * q2
                Z2[f] = c2[f] * p2 + S2[f] * q2
                a2 = c2[f] * W2[f] + w2[f] * S2[f]
                dx[f] += a2 * gx[f]
                dy[f] += a2 * gy[f]
                dz[f] += a2 * gz[f]
            dU[e, 0] = ux
            dU[e, 1] = uy
            dU[e, 2] = uz


@COMPILE
def second_by_center(
    first: int, last: int, start: Array, neighbor: Array,
    S: Array, V: Array, W: Array, U: Array,
    cS: Array, cV: Array, cW: Array, cU: Array, dgs: Array, dgv: Array,
) -> None:  # fmt: skip
    """Dgs, dgv: gradients of the same L with respect to gs and gv."""
    F = dgs.shape[1]
    for i in range(first, last):
        g, gx, gy, gz = dgs[i], dgv[i, 0], dgv[i, 1], dgv[i, 2]
        for e in range(start[i], start[i + 1]):
            j, x, y, z = neighbor[e], U[e, 0], U[e, 1], U[e, 2]
            cx, cy, cz = cU[e, 0], cU[e, 1], cU[e, 2]
            S0, S1, S2 = S[j, 0], S[j, 1], S[j, 2]
            W0, W1, W2 = W[e, 0], W[e, 1], W[e, 2]
            c0, c1, c2 = cS[j, 0], cS[j, 1], cS[j, 2]
            w0, w1, w2 = cW[e, 0], cW[e, 1], cW[e, 2]
            for f in range(F):
                a1 = c1[f] * W1[f] + w1[f] * S1[f]
                b1 = S1[f] * W1[f]
                g[f] += c0[f] * W0[f] + w0[f] * S0[f]
                gx[f] += a1 * x + b1 * cx
                gy[f] += a1 * y + b1 * cy
                gz[f] += a1 * z + b1 * cz
            Vx, Vy, Vz = V[j, 0], V[j, 1], V[j, 2]
            vx, vy, vz = cV[j, 0], cV[j, 1], cV[j, 2]
            for f in range(F):
                a2 = c2[f] * W2[f] + w2[f] * S2[f]
                b2 = S2[f] * W2[f]
                gx[f] += a2 * Vx[f] + b2 * vx[f]
                gy[f] += a2 * Vy[f] + b2 * vy[f]
                gz[f] += a2 * Vz[f] + b2 * vz[f]
