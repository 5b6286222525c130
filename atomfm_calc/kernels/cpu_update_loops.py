"""The loops of the CPU's update block: what is not a matrix product.

M [N, 3, 2, F]: U v and V v of the paper's figure 2c; G [N, 3, F]: its gates a_vv, a_sv, a_ss. Each
loop writes to its own atoms only. See `cpu_loops` on rows that are named before a loop.
"""

from __future__ import annotations

import numpy as np

from atomfm_calc.kernels.cpu_loops import COMPILE, Array


@COMPILE
def contract(first: int, last: int, M: Array, offset: float, length: Array, dot: Array) -> None:
    """Lengths sqrt(|V v|² + offset) and products <U v, V v>, [N, F] each."""
    small = M.dtype.type(offset)
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        vx, vy, vz = M[i, 0, 1], M[i, 1, 1], M[i, 2, 1]
        norm, product = length[i], dot[i]
        for f in range(len(norm)):
            norm[f] = np.sqrt(vx[f] * vx[f] + vy[f] * vy[f] + vz[f] * vz[f] + small)
            product[f] = ux[f] * vx[f] + uy[f] * vy[f] + uz[f] * vz[f]


@COMPILE
def gate(first: int, last: int, M: Array, G: Array, dot: Array, s: Array, v: Array) -> None:
    """Changes of the scalars [N, F] and of the vectors [N, 3, F]."""
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        vv, sv, ss, product = G[i, 0], G[i, 1], G[i, 2], dot[i]
        si, x, y, z = s[i], v[i, 0], v[i, 1], v[i, 2]
        for f in range(len(si)):
            si[f] = ss[f] + sv[f] * product[f]
            x[f] = vv[f] * ux[f]
            y[f] = vv[f] * uy[f]
            z[f] = vv[f] * uz[f]


@COMPILE
def gate_gradient(
    first: int, last: int, M: Array, dot: Array, gs: Array, gv: Array, dG: Array
) -> None:
    """Gradient of <gs, s> + <gv, v> of `gate` with respect to the gates."""
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        g, gx, gy, gz, product = gs[i], gv[i, 0], gv[i, 1], gv[i, 2], dot[i]
        vv, sv, ss = dG[i, 0], dG[i, 1], dG[i, 2]
        for f in range(len(g)):
            vv[f] = gx[f] * ux[f] + gy[f] * uy[f] + gz[f] * uz[f]
            sv[f] = g[f] * product[f]
            ss[f] = g[f]


@COMPILE
def contract_gradient(
    first: int, last: int, M: Array, G: Array, length: Array,
    gs: Array, gv: Array, dlength: Array, dM: Array,
) -> None:  # fmt: skip
    """The same with respect to M, through `gate` and through the lengths and products."""
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        vx, vy, vz = M[i, 0, 1], M[i, 1, 1], M[i, 2, 1]
        vv, sv, g, gx, gy, gz = G[i, 0], G[i, 1], gs[i], gv[i, 0], gv[i, 1], gv[i, 2]
        norm, dnorm = length[i], dlength[i]
        dux, duy, duz = dM[i, 0, 0], dM[i, 1, 0], dM[i, 2, 0]
        dvx, dvy, dvz = dM[i, 0, 1], dM[i, 1, 1], dM[i, 2, 1]
        for f in range(len(g)):
            product, along = g[f] * sv[f], dnorm[f] / norm[f]
            dux[f] = vv[f] * gx[f] + product * vx[f]
            duy[f] = vv[f] * gy[f] + product * vy[f]
            duz[f] = vv[f] * gz[f] + product * vz[f]
            dvx[f] = product * ux[f] + along * vx[f]
            dvy[f] = product * uy[f] + along * vy[f]
            dvz[f] = product * uz[f] + along * vz[f]
