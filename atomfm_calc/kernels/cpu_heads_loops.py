"""The loops of `cpu_heads`: some atoms at a time through all layers of a head, and back.

X: features, [1, N, F] of all heads or [H, N, F], each its own; dX: the gradient by them; G: that by
the numbers of the heads [H, N]. `prepared` is a `PreparedHeads`; `hidden` has
the hidden layers before their activations, [H, L, N, width] in a row, or nothing if they are not to
be kept. `bits` is an empty array of integers of the size of a real.
"""

from __future__ import annotations

import numpy as np

from atomfm_calc.kernels.cpu_loops import COMPILE_WITH_ROOM, Array, Numbers
from atomfm_calc.kernels.cpu_memory import LINE
from atomfm_calc.kernels.cpu_products import (
    activate,
    activate_gradient,
    add_product,
    set_product,
    set_rows,
)

BLOCK = 48
"""Atoms that go through a head together."""


@COMPILE_WITH_ROOM
def _matrix(matrices: Array, place: int, before: int, after: int) -> Array:
    """The `packed` matrix [before, after] that begins at a place."""
    lanes = LINE // matrices.itemsize
    n_strips = (after + lanes - 1) // lanes
    return matrices[place : place + n_strips * before * lanes].reshape(n_strips, before, lanes)


@COMPILE_WITH_ROOM
def heads(
    first: int, last: int, X: Array, prepared: Numbers, hidden: Array, result: Array, bits: Array
) -> None:
    """Put the numbers of all heads into result [H, N]."""
    widths, matrices, _, biases, last_weights, last_bias, places = prepared
    n_layers, n_atoms, widest, kept = len(widths) - 1, X.shape[1], max(widths), widths[1:].sum()
    own = np.empty(BLOCK * widest, X.dtype)
    active = np.empty((2, BLOCK * widest), X.dtype)
    scale = np.empty(widest, X.dtype)
    room = (scale, scale.view(bits.dtype))
    for h in range(len(last_weights)):
        for begin in range(first, last, BLOCK):
            n = min(last - begin, BLOCK)
            x = X[h if len(X) > 1 else 0, begin : begin + n]
            start = h * n_atoms * kept
            for layer in range(n_layers):
                before, after = widths[layer], widths[layer + 1]
                if len(hidden) > 0:
                    z = hidden[start + begin * after : start + (begin + n) * after].reshape(
                        n, after
                    )
                else:
                    z = own[: n * after].reshape(n, after)
                start += n_atoms * after
                set_rows(0, n, biases[h, layer, :after], z)
                add_product(0, n, x, _matrix(matrices, places[h, layer, 0], before, after), z)
                x = active[layer % 2, : n * after].reshape(n, after)
                activate(0, n, z, x, room)
            for i in range(n):
                row, weight, total = x[i], last_weights[h], last_bias[h]
                for f in range(len(row)):
                    total += row[f] * weight[f]
                result[h, begin + i] = total


@COMPILE_WITH_ROOM
def heads_gradient(
    first: int, last: int, G: Array, prepared: Numbers, hidden: Array, dX: Array, bits: Array
) -> None:
    """Put the gradient by the features into dX."""
    widths, _, turned, _, last_weights, _, places = prepared
    n_layers, n_atoms, widest, kept = len(widths) - 1, G.shape[1], max(widths), widths[1:].sum()
    slopes = np.empty((2, BLOCK * widest), G.dtype)
    scale, slope = np.empty(widest, G.dtype), np.empty(widest, G.dtype)
    room = (scale, scale.view(bits.dtype))
    for h in range(len(last_weights)):
        target = dX[h if len(dX) > 1 else 0]
        for begin in range(first, last, BLOCK):
            n = min(last - begin, BLOCK)
            width = widths[n_layers]
            d = slopes[n_layers % 2, : n * width].reshape(n, width)
            for i in range(n):
                row, weight, g = d[i], last_weights[h], G[h, begin + i]
                for f in range(len(row)):
                    row[f] = g * weight[f]
            start = (h + 1) * n_atoms * kept
            for layer in range(n_layers - 1, -1, -1):
                before, after = widths[layer], widths[layer + 1]
                start -= n_atoms * after
                z = hidden[start + begin * after : start + (begin + n) * after].reshape(n, after)
                activate_gradient(0, n, z, d, slope[:after], room)
                back = slopes[layer % 2, : n * before].reshape(n, before)
                set_product(0, n, d, _matrix(turned, places[h, layer, 1], after, before), back)
                d = back
            adds = h > 0 and len(dX) == 1
            for i in range(n):
                row, old = d[i], target[begin + i]
                if adds:
                    for f in range(len(row)):
                        old[f] += row[f]
                else:
                    for f in range(len(row)):
                        old[f] = row[f]
