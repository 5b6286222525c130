"""The programs of the CUDA kernel (the Triton door): one pass over the edges each.

A program belongs to one atom, the center or the neighbor of its edges, and to one block of
channels. It takes the edges in tiles [EDGES, CHANNELS] and writes to that atom and to its own edges
only, so there are no atomic additions, and every sum has one order. What a program can only add up
over its own channels (gradients of directions and distances) it writes apart from the other blocks,
[blocks, E, ...], for the caller to add.

Names as in `cpu_loops`: S, V, W, U are states [N, 3, F], vectors [N, 3, F], filters [E, 3, F] and
directions [E, 3]; d distances [E]; T the rows of a `FilterTable`; gs, gv the gradients that come
in; L is the scalar whose gradient is taken. All arrays are contiguous. Capitals after them are
known at compile time, a table's grid too: in float64, which a number at run time would not be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# mypy: disable-error-code="no-untyped-def"
# The types of a program are those of the arrays it is compiled for.

CHANNELS = 128
"""Largest block of channels."""
ELEMENTS = 512
"""Edges times channels in a tile: four per thread."""


@triton.jit
def _load(pointer, row, f, F: tl.constexpr, mask):
    """The three parts of rows [n, 3, F]."""
    places = pointer + row * 3 * F + f
    return (
        tl.load(places, mask=mask, other=0.0),
        tl.load(places + F, mask=mask, other=0.0),
        tl.load(places + 2 * F, mask=mask, other=0.0),
    )


@triton.jit
def _store(pointer, row, f, F: tl.constexpr, mask, first, second, third):
    places = pointer + row * 3 * F + f
    tl.store(places, first, mask=mask)
    tl.store(places + F, second, mask=mask)
    tl.store(places + 2 * F, third, mask=mask)


@triton.jit
def _over_edges(tile):
    return tl.sum(tile, axis=0, keep_dims=True)


@triton.jit
def _over_channels(tile):
    return tl.sum(tile, axis=1, keep_dims=True)


@triton.jit
def _tile(start, CHANNELS: tl.constexpr):
    """The atom, its first edge and the one after its last, its channels [1, CHANNELS]."""
    atom = tl.program_id(0).to(tl.int64)
    f = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    return atom, tl.load(start + atom), tl.load(start + atom + 1), f


@triton.jit
def _interval(distance, ORIGIN: tl.constexpr, PER_STEP: tl.constexpr, CUTOFF: tl.constexpr,
              N_INTERVALS: tl.constexpr):  # fmt: skip
    """Interval of the grid, place in it from 0 to 1, whether it is inside the cutoff; NaN is."""
    r = distance.to(tl.float64)
    inside = (r < CUTOFF) | (r != r)
    steps = tl.where(inside, (r - ORIGIN) * PER_STEP, 0.0)
    whole = tl.where(steps == steps, steps, 0.0).to(tl.int32)
    k = tl.minimum(tl.maximum(whole, 0), N_INTERVALS - 1)
    return k, steps - k.to(tl.float64), inside


@triton.jit
def _hermite(t):
    """Quintic Hermite polynomials: value, slope, curvature at the left node, at the right one."""
    u = 1.0 - t
    a = t * t * t
    b = u * u * u
    return (
        b * (1.0 + 3.0 * t + 6.0 * t * t),
        t * b * (1.0 + 3.0 * t),
        0.5 * t * t * b,
        a * (1.0 + 3.0 * u + 6.0 * u * u),
        -u * a * (1.0 + 3.0 * u),
        0.5 * u * u * a,
    )


@triton.jit
def _hermite_slopes(t, PER_STEP: tl.constexpr):
    """Derivatives of `_hermite` with respect to the distance."""
    u = 1.0 - t
    a = PER_STEP * t * t
    b = PER_STEP * u * u
    return (
        -30.0 * a * u * u,
        b * (1.0 - 3.0 * t) * (1.0 + 5.0 * t),
        t * b * (1.0 - 2.5 * t),
        30.0 * a * u * u,
        a * (1.0 - 3.0 * u) * (1.0 + 5.0 * u),
        -u * a * (1.0 - 2.5 * u),
    )


@triton.jit
def _combine(c, rows, F: tl.constexpr, mask):
    """One part of the filters, from six rows of a table; `rows` are the places of the first."""
    kind: tl.constexpr = rows.dtype.element_ty
    total = c[0].to(kind) * tl.load(rows, mask=mask, other=0.0)
    for n in tl.static_range(1, 6):
        total += c[n].to(kind) * tl.load(rows + 3 * n * F, mask=mask, other=0.0)
    return total


@triton.jit
def _combine_both(c, b, rows, F: tl.constexpr, mask):
    """One part of the filters and of their slopes."""
    kind: tl.constexpr = rows.dtype.element_ty
    row = tl.load(rows, mask=mask, other=0.0)
    total = c[0].to(kind) * row
    slope = b[0].to(kind) * row
    for n in tl.static_range(1, 6):
        row = tl.load(rows + 3 * n * F, mask=mask, other=0.0)
        total += c[n].to(kind) * row
        slope += b[n].to(kind) * row
    return total, slope


@triton.jit
def tabulated_messages(
    start, neighbor, S, V, T, d, U, s, v,
    HAS_VECTORS: tl.constexpr, ORIGIN: tl.constexpr, PER_STEP: tl.constexpr, CUTOFF: tl.constexpr,
    N_INTERVALS: tl.constexpr, F: tl.constexpr, EDGES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Messages with filters from a table."""
    i, first, last, f = _tile(start, CHANNELS)
    to_s = tl.zeros((EDGES, CHANNELS), s.dtype.element_ty)
    to_x, to_y, to_z = to_s, to_s, to_s
    for begin in range(first, last, EDGES):
        e = (begin + tl.arange(0, EDGES))[:, None]
        known = e < last
        k, t, inside = _interval(
            tl.load(d + e, mask=known, other=CUTOFF), ORIGIN, PER_STEP, CUTOFF, N_INTERVALS
        )
        c = _hermite(t)
        mask = known & inside & (f < F)
        j = tl.load(neighbor + e, mask=known, other=0)
        x, y, z = _load(U, e, 0, 1, known & inside)
        rows = T + k.to(tl.int64) * 9 * F + f
        S0, S1, S2 = _load(S, j, f, F, mask)
        to_s += S0 * _combine(c, rows, F, mask)
        along = S1 * _combine(c, rows + F, F, mask)
        to_x += along * x
        to_y += along * y
        to_z += along * z
        if HAS_VECTORS:
            Vx, Vy, Vz = _load(V, j, f, F, mask)
            turn = S2 * _combine(c, rows + 2 * F, F, mask)
            to_x += turn * Vx
            to_y += turn * Vy
            to_z += turn * Vz
    tl.store(s + i * F + f, _over_edges(to_s), mask=f < F)
    _store(v, i, f, F, f < F, _over_edges(to_x), _over_edges(to_y), _over_edges(to_z))


@triton.jit(do_not_specialize=["n_edges"])
def tabulated_gradient(
    start, order, center, S, V, T, d, U, gs, gv, dS, dV, dd, dU, n_edges,
    HAS_VECTORS: tl.constexpr, ORIGIN: tl.constexpr, PER_STEP: tl.constexpr, CUTOFF: tl.constexpr,
    N_INTERVALS: tl.constexpr, F: tl.constexpr, EDGES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """dS, dV, dd, dU: gradients of L = <gs, s> + <gv, v> of `tabulated_messages`."""
    j, first, last, f = _tile(start, CHANNELS)
    block = tl.program_id(1).to(tl.int64) * n_edges
    S0, S1, S2 = _load(S, j, f, F, f < F)
    D0 = tl.zeros((EDGES, CHANNELS), dS.dtype.element_ty)
    D1, D2, dx, dy, dz = D0, D0, D0, D0, D0
    if HAS_VECTORS:
        Vx, Vy, Vz = _load(V, j, f, F, f < F)
    for begin in range(first, last, EDGES):
        place = (begin + tl.arange(0, EDGES))[:, None]
        known = place < last
        e = tl.load(order + place, mask=known, other=0)
        i = tl.load(center + e, mask=known, other=0)
        k, t, inside = _interval(
            tl.load(d + e, mask=known, other=CUTOFF), ORIGIN, PER_STEP, CUTOFF, N_INTERVALS
        )
        c, b = _hermite(t), _hermite_slopes(t, PER_STEP)
        mask = known & inside & (f < F)
        x, y, z = _load(U, e, 0, 1, known & inside)
        g = tl.load(gs + i * F + f, mask=mask, other=0.0)
        gx, gy, gz = _load(gv, i, f, F, mask)
        rows = T + k.to(tl.int64) * 9 * F + f
        W0, Z0 = _combine_both(c, b, rows, F, mask)
        W1, Z1 = _combine_both(c, b, rows + F, F, mask)
        p1 = x * gx + y * gy + z * gz
        D0 += W0 * g
        D1 += W1 * p1
        along = S1 * W1
        slope = S0 * Z0 * g + S1 * Z1 * p1
        if HAS_VECTORS:
            W2, Z2 = _combine_both(c, b, rows + 2 * F, F, mask)
            p2 = Vx * gx + Vy * gy + Vz * gz
            D2 += W2 * p2
            turn = S2 * W2
            dx += turn * gx
            dy += turn * gy
            dz += turn * gz
            slope += S2 * Z2 * p2
        tl.store(dd + block + e, _over_channels(slope), mask=known)
        ux, uy, uz = (
            _over_channels(along * gx),
            _over_channels(along * gy),
            _over_channels(along * gz),
        )
        _store(dU, block + e, 0, 1, known, ux, uy, uz)
    _store(dS, j, f, F, f < F, _over_edges(D0), _over_edges(D1), _over_edges(D2))
    if HAS_VECTORS:
        _store(dV, j, f, F, f < F, _over_edges(dx), _over_edges(dy), _over_edges(dz))


@triton.jit
def messages(
    start, neighbor, S, V, W, U, s, v,
    F: tl.constexpr, EDGES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Messages with the filters of each edge."""
    i, first, last, f = _tile(start, CHANNELS)
    to_s = tl.zeros((EDGES, CHANNELS), s.dtype.element_ty)
    to_x, to_y, to_z = to_s, to_s, to_s
    for begin in range(first, last, EDGES):
        e = (begin + tl.arange(0, EDGES))[:, None]
        known = e < last
        mask = known & (f < F)
        j = tl.load(neighbor + e, mask=known, other=0)
        x, y, z = _load(U, e, 0, 1, known)
        S0, S1, S2 = _load(S, j, f, F, mask)
        W0, W1, W2 = _load(W, e, f, F, mask)
        Vx, Vy, Vz = _load(V, j, f, F, mask)
        along, turn = S1 * W1, S2 * W2
        to_s += S0 * W0
        to_x += along * x + turn * Vx
        to_y += along * y + turn * Vy
        to_z += along * z + turn * Vz
    tl.store(s + i * F + f, _over_edges(to_s), mask=f < F)
    _store(v, i, f, F, f < F, _over_edges(to_x), _over_edges(to_y), _over_edges(to_z))


@triton.jit(do_not_specialize=["n_edges"])
def gradient(
    start, order, center, S, V, W, U, gs, gv, dS, dV, dW, dU, n_edges,
    F: tl.constexpr, EDGES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """dS .. dU: gradients of L = <gs, s> + <gv, v>."""
    j, first, last, f = _tile(start, CHANNELS)
    block = tl.program_id(1).to(tl.int64) * n_edges
    S0, S1, S2 = _load(S, j, f, F, f < F)
    Vx, Vy, Vz = _load(V, j, f, F, f < F)
    D0 = tl.zeros((EDGES, CHANNELS), dS.dtype.element_ty)
    D1, D2, dx, dy, dz = D0, D0, D0, D0, D0
    for begin in range(first, last, EDGES):
        place = (begin + tl.arange(0, EDGES))[:, None]
        known = place < last
        mask = known & (f < F)
        e = tl.load(order + place, mask=known, other=0)
        i = tl.load(center + e, mask=known, other=0)
        x, y, z = _load(U, e, 0, 1, known)
        g = tl.load(gs + i * F + f, mask=mask, other=0.0)
        gx, gy, gz = _load(gv, i, f, F, mask)
        W0, W1, W2 = _load(W, e, f, F, mask)
        p1 = x * gx + y * gy + z * gz
        p2 = Vx * gx + Vy * gy + Vz * gz
        D0 += W0 * g
        D1 += W1 * p1
        D2 += W2 * p2
        _store(dW, e, f, F, mask, S0 * g, S1 * p1, S2 * p2)
        along, turn = S1 * W1, S2 * W2
        dx += turn * gx
        dy += turn * gy
        dz += turn * gz
        ux, uy, uz = (
            _over_channels(along * gx),
            _over_channels(along * gy),
            _over_channels(along * gz),
        )
        _store(dU, block + e, 0, 1, known, ux, uy, uz)
    _store(dS, j, f, F, f < F, _over_edges(D0), _over_edges(D1), _over_edges(D2))
    _store(dV, j, f, F, f < F, _over_edges(dx), _over_edges(dy), _over_edges(dz))


@triton.jit(do_not_specialize=["n_edges"])
def second_by_neighbor(
    start, order, center, S, V, W, U, gs, gv, cS, cV, cW, cU, dS, dV, dW, dU, n_edges,
    F: tl.constexpr, EDGES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """dS .. dU: gradients of L = <cS, dS> + <cV, dV> + <cW, dW> + <cU, dU> of `gradient`."""
    j, first, last, f = _tile(start, CHANNELS)
    block = tl.program_id(1).to(tl.int64) * n_edges
    _S0, S1, S2 = _load(S, j, f, F, f < F)
    Vx, Vy, Vz = _load(V, j, f, F, f < F)
    c0, c1, c2 = _load(cS, j, f, F, f < F)
    vx, vy, vz = _load(cV, j, f, F, f < F)
    D0 = tl.zeros((EDGES, CHANNELS), dS.dtype.element_ty)
    D1, D2, dx, dy, dz = D0, D0, D0, D0, D0
    for begin in range(first, last, EDGES):
        place = (begin + tl.arange(0, EDGES))[:, None]
        known = place < last
        mask = known & (f < F)
        e = tl.load(order + place, mask=known, other=0)
        i = tl.load(center + e, mask=known, other=0)
        x, y, z = _load(U, e, 0, 1, known)
        cx, cy, cz = _load(cU, e, 0, 1, known)
        g = tl.load(gs + i * F + f, mask=mask, other=0.0)
        gx, gy, gz = _load(gv, i, f, F, mask)
        _W0, W1, W2 = _load(W, e, f, F, mask)
        w0, w1, w2 = _load(cW, e, f, F, mask)
        p1 = x * gx + y * gy + z * gz
        q1 = cx * gx + cy * gy + cz * gz
        p2 = Vx * gx + Vy * gy + Vz * gz
        q2 = vx * gx + vy * gy + vz * gz
        D0 += w0 * g
        D1 += w1 * p1 + W1 * q1
        D2 += w2 * p2 + W2 * q2
        _store(dW, e, f, F, mask, c0 * g, c1 * p1 + S1 * q1, c2 * p2 + S2 * q2)
        a1, a2 = c1 * W1 + w1 * S1, c2 * W2 + w2 * S2
        dx += a2 * gx
        dy += a2 * gy
        dz += a2 * gz
        ux, uy, uz = _over_channels(a1 * gx), _over_channels(a1 * gy), _over_channels(a1 * gz)
        _store(dU, block + e, 0, 1, known, ux, uy, uz)
    _store(dS, j, f, F, f < F, _over_edges(D0), _over_edges(D1), _over_edges(D2))
    _store(dV, j, f, F, f < F, _over_edges(dx), _over_edges(dy), _over_edges(dz))


@triton.jit
def second_by_center(
    start, neighbor, S, V, W, U, cS, cV, cW, cU, dgs, dgv,
    F: tl.constexpr, EDGES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """dgs, dgv: gradients of the same L with respect to gs and gv."""
    i, first, last, f = _tile(start, CHANNELS)
    to_s = tl.zeros((EDGES, CHANNELS), dgs.dtype.element_ty)
    to_x, to_y, to_z = to_s, to_s, to_s
    for begin in range(first, last, EDGES):
        e = (begin + tl.arange(0, EDGES))[:, None]
        known = e < last
        mask = known & (f < F)
        j = tl.load(neighbor + e, mask=known, other=0)
        x, y, z = _load(U, e, 0, 1, known)
        cx, cy, cz = _load(cU, e, 0, 1, known)
        S0, S1, S2 = _load(S, j, f, F, mask)
        W0, W1, W2 = _load(W, e, f, F, mask)
        c0, c1, c2 = _load(cS, j, f, F, mask)
        w0, w1, w2 = _load(cW, e, f, F, mask)
        Vx, Vy, Vz = _load(V, j, f, F, mask)
        vx, vy, vz = _load(cV, j, f, F, mask)
        a1, b1 = c1 * W1 + w1 * S1, S1 * W1
        a2, b2 = c2 * W2 + w2 * S2, S2 * W2
        to_s += c0 * W0 + w0 * S0
        to_x += a1 * x + b1 * cx + a2 * Vx + b2 * vx
        to_y += a1 * y + b1 * cy + a2 * Vy + b2 * vy
        to_z += a1 * z + b1 * cz + a2 * Vz + b2 * vz
    tl.store(dgs + i * F + f, _over_edges(to_s), mask=f < F)
    _store(dgv, i, f, F, f < F, _over_edges(to_x), _over_edges(to_y), _over_edges(to_z))


IS_INTERPRETED = not isinstance(messages, triton.JITFunction)
"""Whether Triton's interpreter runs the programs, on the CPU, instead of compiling them."""


def n_blocks(n_features: int) -> int:
    """Blocks of channels that F channels are dealt to."""
    return math.ceil(n_features / CHANNELS)


def launch(program: Any, arguments: Sequence[Any], start: Tensor, **constants: Any) -> None:
    """Run `program(start, *arguments)` for every atom and block of channels.

    Args:
        program: one of this module.
        arguments: all but the first and the constants.
        start: first edge of each atom [N + 1].
        constants: F and what else the program has after the arrays.
    """
    n_atoms, n_features = len(start) - 1, constants["F"]
    if n_atoms == 0:
        return
    channels = min(CHANNELS, triton.next_power_of_2(n_features))
    with torch.cuda.device_of(start):
        program[(n_atoms, n_blocks(n_features))](
            start, *arguments, EDGES=max(ELEMENTS // channels, 1), CHANNELS=channels, **constants
        )
