"""The loops of `cpu_network`: a whole layer, some atoms at a time (see `cpu_loops`).

Every function works on atoms `first` to `last` and writes to them and to their own edges only; what
it reads of other atoms was finished by the loop before. Within a loop atoms go through all steps of
a layer in blocks that stay in cache.

M [N, 3, 2, F]: U v and V v of the paper's figure 2c; G [N, 3, F]: its gates a_vv, a_sv, a_ss;
gs, gv: the gradients by scalars and vectors. Other names are those of `cpu_loops`. Weights of
matrix products are `packed`, with the inputs as rows, those of gradients the outputs.
"""

from __future__ import annotations

import numpy as np

from atomfm_calc.kernels.cpu_loops import (
    COMPILE,
    COMPILE_WITH_ROOM,
    Array,
    Numbers,
    add_tabulated,
    add_tabulated_gradient,
)
from atomfm_calc.kernels.cpu_products import (
    activate,
    activate_gradient,
    add_product,
    clear_rows,
    copy_rows,
    set_product,
    set_rows,
)

BLOCK = 24
"""Atoms that go through a layer together: 0.3 MB of float32 for 128 features."""


@COMPILE
def _contract(first: int, last: int, M: Array, offset: float, length: Array, dot: Array) -> None:
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
def _add_gated(first: int, last: int, M: Array, G: Array, dot: Array, s: Array, v: Array) -> None:
    """Add the changes of the scalars [N, F] and of the vectors [N, 3, F]."""
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        vv, sv, ss, product = G[i, 0], G[i, 1], G[i, 2], dot[i]
        si, x, y, z = s[i], v[i, 0], v[i, 1], v[i, 2]
        for f in range(len(si)):
            si[f] += ss[f] + sv[f] * product[f]
            x[f] += vv[f] * ux[f]
            y[f] += vv[f] * uy[f]
            z[f] += vv[f] * uz[f]


@COMPILE
def _gate_gradient(
    first: int, last: int, M: Array, dot: Array, gs: Array, gv: Array, dG: Array
) -> None:
    """Gradient of <gs, s> + <gv, v> of `_add_gated` by the gates, from row 0 of dG on."""
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        g, gx, gy, gz, product = gs[i], gv[i, 0], gv[i, 1], gv[i, 2], dot[i]
        vv, sv, ss = dG[i - first, 0], dG[i - first, 1], dG[i - first, 2]
        for f in range(len(g)):
            vv[f] = gx[f] * ux[f] + gy[f] * uy[f] + gz[f] * uz[f]
            sv[f] = g[f] * product[f]
            ss[f] = g[f]


@COMPILE
def _contract_gradient(
    first: int, last: int, M: Array, G: Array, length: Array,
    gs: Array, gv: Array, dboth: Array, dM: Array,
) -> None:  # fmt: skip
    """The same by M, through `_add_gated` and through lengths (half of dboth) and products."""
    n_features = gs.shape[1]
    for i in range(first, last):
        ux, uy, uz = M[i, 0, 0], M[i, 1, 0], M[i, 2, 0]
        vx, vy, vz = M[i, 0, 1], M[i, 1, 1], M[i, 2, 1]
        vv, sv, g, gx, gy, gz = G[i, 0], G[i, 1], gs[i], gv[i, 0], gv[i, 1], gv[i, 2]
        norm, dnorm = length[i], dboth[i - first, n_features:]
        dux, duy, duz = dM[i - first, 0, 0], dM[i - first, 1, 0], dM[i - first, 2, 0]
        dvx, dvy, dvz = dM[i - first, 0, 1], dM[i - first, 1, 1], dM[i - first, 2, 1]
        for f in range(n_features):
            product, along = g[f] * sv[f], dnorm[f] / norm[f]
            dux[f] = vv[f] * gx[f] + product * vx[f]
            duy[f] = vv[f] * gy[f] + product * vy[f]
            duz[f] = vv[f] * gz[f] + product * vz[f]
            dvx[f] = product * ux[f] + along * vx[f]
            dvy[f] = product * uy[f] + along * vy[f]
            dvz[f] = product * uz[f] + along * vz[f]


@COMPILE
def _states(
    first: int, last: int, s: Array, weights: Numbers, hidden: Array, S: Array,
    active: Array, room: Numbers,
) -> None:  # fmt: skip
    """What atoms tell their neighbors, S, and the hidden layer before its activation."""
    hidden_weight, hidden_bias, weight, bias = weights
    set_rows(first, last, hidden_bias, hidden)
    add_product(first, last, s, hidden_weight, hidden)
    activate(first, last, hidden, active, room)
    rows = S.reshape(len(S), len(bias))[first:last]
    set_rows(0, last - first, bias, rows)
    add_product(0, last - first, active, weight, rows)


@COMPILE
def _update(
    first: int, last: int, s: Array, v: Array, weights: Numbers, trace: Numbers,
    active: Array, room: Numbers,
) -> None:  # fmt: skip
    """The update block, in place."""
    mix, of_scalars, of_lengths, hidden_bias, weight, bias, offset = weights
    M, length, dot, hidden, G = trace
    n_atoms, n_features = s.shape
    mixed = M.reshape(3 * n_atoms, 2 * n_features)
    set_product(3 * first, 3 * last, v.reshape(3 * n_atoms, n_features), mix, mixed)
    _contract(first, last, M, offset, length, dot)
    set_rows(first, last, hidden_bias, hidden)
    add_product(first, last, s, of_scalars, hidden)
    add_product(first, last, length, of_lengths, hidden)
    activate(first, last, hidden, active, room)
    gates = G.reshape(n_atoms, 3 * n_features)[first:last]
    set_rows(0, last - first, bias, gates)
    add_product(0, last - first, active, weight, gates)
    _add_gated(first, last, M, G, dot, s, v)


@COMPILE_WITH_ROOM
def layer(
    first: int, last: int, start: Array, neighbor: Array, k: Array, C: Array, U: Array,
    T: Array, before: Array, S: Array, V: Array, weights: Numbers,
    s: Array, v: Array, trace: Numbers,
    next_weights: Numbers, next_hidden: Array, next_S: Array, bits: Array, hears: bool,
) -> None:  # fmt: skip
    """Messages, update, and what atoms tell their neighbors next (nothing if there is no room).

    Before the first layer nothing was told: without `hears` only the last of the three is done, for
    s as it is. (A function of its own would take five seconds more to compile.) `bits` is an empty
    array of integers of the size of a real.
    """
    active = np.empty((BLOCK, s.shape[1]), s.dtype)
    scale = np.empty(s.shape[1], s.dtype)
    room = (scale, scale.view(bits.dtype))
    v_rows = v.reshape(len(v), 3 * s.shape[1])
    for begin in range(first, last, BLOCK):
        end = min(begin + BLOCK, last)
        if hears:
            copy_rows(begin, end, before, s)
            if V.shape[2] > 0:
                copy_rows(begin, end, V.reshape(v_rows.shape), v_rows)
            else:
                clear_rows(begin, end, v_rows)
            add_tabulated(begin, end, start, neighbor, S, V, T, k, C, U, s, v)
            _update(begin, end, s, v, weights, trace, active, room)
        if len(next_S) > 0:
            _states(begin, end, s, next_weights, next_hidden, next_S, active, room)


@COMPILE
def _update_gradient(
    first: int, last: int, gs: Array, gv: Array, weights: Numbers, trace: Numbers,
    block: Numbers, room: Numbers,
) -> None:  # fmt: skip
    """From gradients by what an update block gives to those by what it is given, in place."""
    mix, hidden_weight, gates = weights
    M, length, dot, hidden, G = trace
    dG, dactive, dboth, dM, slope = block
    n_features, n = gs.shape[1], last - first
    _gate_gradient(first, last, M, dot, gs, gv, dG)
    set_product(0, n, dG.reshape(len(dG), 3 * n_features), gates, dactive)
    activate_gradient(first, last, hidden, dactive, slope, room)
    set_product(0, n, dactive, hidden_weight, dboth)
    _contract_gradient(first, last, M, G, length, gs, gv, dboth, dM)
    for i in range(first, last):
        g, more = gs[i], dboth[i - first]
        for f in range(n_features):
            g[f] += more[f]
    rows = gv.reshape(3 * len(gv), n_features)[3 * first : 3 * last]
    add_product(0, 3 * n, dM.reshape(3 * len(dM), 2 * n_features), mix, rows)


@COMPILE_WITH_ROOM
def layer_gradient(
    first: int, last: int, start: Array, order: Array, center: Array, k: Array, C: Array, U: Array,
    T: Array, hidden: Array, S: Array, V: Array, weights: Numbers, gs: Array, gv: Array,
    dS: Array, dd: Array, dU: Array, new_gs: Array, new_gv: Array,
    previous_weights: Numbers, previous_trace: Numbers, bits: Array, was_heard: bool,
) -> None:  # fmt: skip
    """Back through messages and states of a layer and the update block of the one before it.

    Those of the first layer were made of numbers that depend on no position: with V without
    channels only dd and dU are computed. Behind the last layer nothing was heard: without
    `was_heard` only the update block is done, in place in gs and gv.
    """
    hidden_weight, weight = weights
    n_features = gs.shape[1]
    block, room = _room_for_gradients(gs, bits)
    _, dactive, _, _, slope = block
    dS_rows = dS.reshape(len(dS), 3 * n_features)
    for begin in range(first, last, BLOCK):
        end = min(begin + BLOCK, last)
        if not was_heard:
            _update_gradient(begin, end, gs, gv, previous_weights, previous_trace, block, room)
            continue
        clear_rows(begin, end, dS_rows)
        if V.shape[2] > 0:
            copy_rows(begin, end, gv.reshape(dS_rows.shape), new_gv.reshape(dS_rows.shape))
        add_tabulated_gradient(
            begin, end, start, order, center, S, V, T, k, C, U, gs, gv, dS, new_gv, dd, dU,
        )  # fmt: skip
        if V.shape[2] == 0:
            continue
        set_product(0, end - begin, dS_rows[begin:end], weight, dactive)
        activate_gradient(begin, end, hidden, dactive, slope, room)
        copy_rows(begin, end, gs, new_gs)
        add_product(0, end - begin, dactive, hidden_weight, new_gs[begin:end])
        _update_gradient(begin, end, new_gs, new_gv, previous_weights, previous_trace, block, room)


@COMPILE_WITH_ROOM
def _room_for_gradients(gs: Array, bits: Array) -> Numbers:
    """DG, dactive, dboth, dM and slope of `_update_gradient`, and room for `sigmoid`."""
    n_features, real = gs.shape[1], gs.dtype
    scale = np.empty(n_features, real)
    block = (
        np.empty((BLOCK, 3, n_features), real),
        np.empty((BLOCK, n_features), real),
        np.empty((BLOCK, 2 * n_features), real),
        np.empty((BLOCK, 3, 2, n_features), real),
        np.empty(n_features, real),
    )
    return block, (scale, scale.view(bits.dtype))


@COMPILE
def geometry(r: Array, d: Array, U: Array) -> None:
    """Distances [E] and directions [E, 3] of the edge vectors r [E, 3]."""
    for e in range(len(r)):
        x, y, z = r[e, 0], r[e, 1], r[e, 2]
        distance = np.sqrt(x * x + y * y + z * z)
        d[e] = distance
        U[e, 0] = x / distance
        U[e, 1] = y / distance
        U[e, 2] = z / distance


@COMPILE
def geometry_gradient(d: Array, U: Array, dd: Array, dU: Array, dr: Array) -> None:
    """Dr: gradients by the edge vectors, from those by distances and directions."""
    for e in range(len(d)):
        x, y, z, distance = U[e, 0], U[e, 1], U[e, 2], d[e]
        gx, gy, gz = dU[e, 0], dU[e, 1], dU[e, 2]
        along = dd[e] - (gx * x + gy * y + gz * z) / distance
        dr[e, 0] = gx / distance + along * x
        dr[e, 1] = gy / distance + along * y
        dr[e, 2] = gz / distance + along * z
