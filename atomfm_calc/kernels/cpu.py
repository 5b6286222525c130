"""Fused message passing on the CPU (the Numba door): `reference` in one pass over the edges.

Plain torch writes and rereads a dozen arrays of size [E, 3F] per layer; here each edge is read once
and its messages are added up in cache. The messages are a polynomial of the inputs, so the gradient
and the gradient of the gradient (needed to train on forces) are loops of the same kind, written out
below with L for the scalar whose gradient is taken.

Every loop runs over one side of the edges, the center or the neighbor, and writes to that atom and
to its own edges only: no two threads write to the same place. The atoms are dealt to a thread pool
of `torch.get_num_threads()`; Numba's own threads are not used, because its OpenMP layer changes the
number of threads of torch (numba 0.68, torch 2.13: steps ten times slower on a busy machine).
Compiled at the first call, kept on disk.

S, V, W, U: states [N, 3F], vectors [N, 3, F], filters [E, 3F], directions [E, 3] of `reference`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

MINIMUM_EDGES = 500
"""Edges per thread below which another thread costs more than it brings."""

# reassociation lets sums over channels use vector registers; NaN and infinity keep their meaning
_COMPILE = numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""Thread pools by process and number of threads (a forked process has no threads of its parent)."""


class _Messages(torch.autograd.Function):
    """Sum of messages; differentiable twice."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, vectors: Tensor, filters: Tensor, directions: Tensor, sides: Any
    ) -> tuple[Tensor, Tensor]:
        inputs = (states, vectors, filters, directions)
        ctx.save_for_backward(*inputs)  # the inputs themselves: a copy would lose the way back
        ctx.sides = sides
        n_atoms, n_features = states.shape[0], states.shape[1] // 3
        to_scalars = states.new_zeros((n_atoms, n_features))
        to_vectors = states.new_zeros((n_atoms, 3, n_features))
        _in_parallel(_messages, *sides.by_center, *_arrays(*inputs, to_scalars, to_vectors))
        return to_scalars, to_vectors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        results = _MessagesGradient.apply(*ctx.saved_tensors, *gradients, ctx.sides)
        return (*results, None)


class _MessagesGradient(torch.autograd.Function):
    """Gradient of the sum of messages; differentiable once more."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, sides = inputs
        ctx.save_for_backward(*tensors)
        ctx.sides = sides
        results = tuple(_new(tensors))
        _in_parallel(_gradient, *sides.by_neighbor, *_arrays(*tensors, *results))
        return results

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        by_center, by_neighbor = ctx.sides.by_center, ctx.sides.by_neighbor
        inputs, upstream = _arrays(*tensors), _arrays(*gradients)
        results = (*_new(tensors), *(torch.zeros(t.shape, dtype=t.dtype) for t in tensors[4:]))
        out = _arrays(*results)
        _in_parallel(_second_by_neighbor, *by_neighbor, *inputs, *upstream, *out[:4])
        _in_parallel(_second_by_center, *by_center, *inputs[:4], *upstream, *out[4:])
        return (*results, None)


class _Sides:
    """The edges seen from their centers and from their neighbors."""

    def __init__(self, edge_index: Tensor, n_atoms: int) -> None:
        center, neighbor = edge_index.numpy()
        center_start = np.searchsorted(center, np.arange(n_atoms + 1))
        order = np.argsort(neighbor, kind="stable")
        neighbor_start = np.searchsorted(neighbor[order], np.arange(n_atoms + 1))
        self.by_center = (center_start, np.ascontiguousarray(neighbor))
        self.by_neighbor = (neighbor_start, order, np.ascontiguousarray(center))


def painn_messages(
    states: Tensor, vectors: Tensor | None, filters: Tensor, directions: Tensor, edge_index: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum of PaiNN's messages; arguments, shapes and results as in `reference.painn_messages`."""
    n_atoms, n_features = states.shape[0], states.shape[1] // 3
    sides = _Sides(edge_index, n_atoms)
    if vectors is None:
        vectors = states.new_zeros((n_atoms, 3, n_features))
    result: tuple[Tensor, Tensor] = _Messages.apply(states, vectors, filters, directions, sides)
    return result


def _new(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Room for the gradients of S, V (added up: zeros) and W, U (each edge written once)."""
    makers: list[Callable[..., Tensor]] = [torch.zeros, torch.zeros, torch.empty, torch.empty]
    pairs = zip(makers, tensors[:4], strict=True)
    return [make(tensor.shape, dtype=tensor.dtype) for make, tensor in pairs]


def _arrays(*tensors: Tensor) -> list[Array]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _in_parallel(loop: Callable[..., None], start: Array, *arrays: Array) -> None:
    """Run `loop(first, last, start, *arrays)` over ranges of atoms with about as many edges."""
    n_atoms = len(start) - 1
    n_threads = min(torch.get_num_threads(), int(start[-1]) // MINIMUM_EDGES + 1)
    if n_threads == 1:
        loop(0, n_atoms, start, *arrays)
        return
    cuts = np.searchsorted(start, np.linspace(0, start[-1], n_threads + 1)[1:-1])
    bounds = [0, *cuts.tolist(), n_atoms]
    pool = _POOLS.setdefault((os.getpid(), n_threads), ThreadPoolExecutor(n_threads))
    for task in [pool.submit(loop, *ends, start, *arrays) for ends in pairwise(bounds)]:
        task.result()


@_COMPILE
def _messages(
    first: int, last: int, start: Array, neighbor: Array,
    S: Array, V: Array, W: Array, U: Array, s: Array, v: Array,
) -> None:  # fmt: skip
    F = s.shape[1]
    for i in range(first, last):
        for e in range(start[i], start[i + 1]):
            j = neighbor[e]
            x, y, z = U[e, 0], U[e, 1], U[e, 2]
            for f in range(F):
                s[i, f] += S[j, f] * W[e, f]
                along = S[j, F + f] * W[e, F + f]
                turn = S[j, 2 * F + f] * W[e, 2 * F + f]
                v[i, 0, f] += along * x + turn * V[j, 0, f]
                v[i, 1, f] += along * y + turn * V[j, 1, f]
                v[i, 2, f] += along * z + turn * V[j, 2, f]


@_COMPILE
def _gradient(
    first: int, last: int, start: Array, order: Array, center: Array,
    S: Array, V: Array, W: Array, U: Array, gs: Array, gv: Array,
    dS: Array, dV: Array, dW: Array, dU: Array,
) -> None:  # fmt: skip
    """DS .. dU: gradients of L = <gs, s> + <gv, v>."""
    F = gs.shape[1]
    for j in range(first, last):
        for position in range(start[j], start[j + 1]):
            e = order[position]
            i = center[e]
            x, y, z = U[e, 0], U[e, 1], U[e, 2]
            ux = uy = uz = x * 0
            for f in range(F):
                gx, gy, gz = gv[i, 0, f], gv[i, 1, f], gv[i, 2, f]
                p0 = gs[i, f]
                p1 = x * gx + y * gy + z * gz
                p2 = V[j, 0, f] * gx + V[j, 1, f] * gy + V[j, 2, f] * gz
                S1, S2 = S[j, F + f], S[j, 2 * F + f]
                W1, W2 = W[e, F + f], W[e, 2 * F + f]
                dS[j, f] += W[e, f] * p0
                dS[j, F + f] += W1 * p1
                dS[j, 2 * F + f] += W2 * p2
                dW[e, f] = S[j, f] * p0
                dW[e, F + f] = S1 * p1
                dW[e, 2 * F + f] = S2 * p2
                dV[j, 0, f] += S2 * W2 * gx
                dV[j, 1, f] += S2 * W2 * gy
                dV[j, 2, f] += S2 * W2 * gz
                ux += S1 * W1 * gx
                uy += S1 * W1 * gy
                uz += S1 * W1 * gz
            dU[e, 0] = ux
            dU[e, 1] = uy
            dU[e, 2] = uz


@_COMPILE
def _second_by_neighbor(
    first: int, last: int, start: Array, order: Array, center: Array,
    S: Array, V: Array, W: Array, U: Array, gs: Array, gv: Array,
    cS: Array, cV: Array, cW: Array, cU: Array,
    dS: Array, dV: Array, dW: Array, dU: Array,
) -> None:  # fmt: skip
    """DS .. dU: gradients of L = <cS, dS> + <cV, dV> + <cW, dW> + <cU, dU> of `_gradient`."""
    F = gs.shape[1]
    for j in range(first, last):
        for position in range(start[j], start[j + 1]):
            e = order[position]
            i = center[e]
            x, y, z = U[e, 0], U[e, 1], U[e, 2]
            cx, cy, cz = cU[e, 0], cU[e, 1], cU[e, 2]
            ux = uy = uz = x * 0
            for f in range(F):
                gx, gy, gz = gv[i, 0, f], gv[i, 1, f], gv[i, 2, f]
                p0 = gs[i, f]
                p1 = x * gx + y * gy + z * gz
                p2 = V[j, 0, f] * gx + V[j, 1, f] * gy + V[j, 2, f] * gz
                q1 = cx * gx + cy * gy + cz * gz
                q2 = cV[j, 0, f] * gx + cV[j, 1, f] * gy + cV[j, 2, f] * gz
                S1, S2 = S[j, F + f], S[j, 2 * F + f]
                W1, W2 = W[e, F + f], W[e, 2 * F + f]
                c1, c2 = cS[j, F + f], cS[j, 2 * F + f]
                w1, w2 = cW[e, F + f], cW[e, 2 * F + f]
                a1 = c1 * W1 + w1 * S1
                a2 = c2 * W2 + w2 * S2
                dS[j, f] += cW[e, f] * p0
                dS[j, F + f] += w1 * p1 + W1 * q1
                dS[j, 2 * F + f] += w2 * p2 + W2 * q2
                dW[e, f] = cS[j, f] * p0
                dW[e, F + f] = c1 * p1 + S1 * q1
                dW[e, 2 * F + f] = c2 * p2 + S2 * q2
                dV[j, 0, f] += a2 * gx
                dV[j, 1, f] += a2 * gy
                dV[j, 2, f] += a2 * gz
                ux += a1 * gx
                uy += a1 * gy
                uz += a1 * gz
            dU[e, 0] = ux
            dU[e, 1] = uy
            dU[e, 2] = uz


@_COMPILE
def _second_by_center(
    first: int, last: int, start: Array, neighbor: Array,
    S: Array, V: Array, W: Array, U: Array,
    cS: Array, cV: Array, cW: Array, cU: Array, dgs: Array, dgv: Array,
) -> None:  # fmt: skip
    """Dgs, dgv: gradients of the same L with respect to gs and gv."""
    F = dgs.shape[1]
    for i in range(first, last):
        for e in range(start[i], start[i + 1]):
            j = neighbor[e]
            x, y, z = U[e, 0], U[e, 1], U[e, 2]
            cx, cy, cz = cU[e, 0], cU[e, 1], cU[e, 2]
            for f in range(F):
                S1, S2 = S[j, F + f], S[j, 2 * F + f]
                W1, W2 = W[e, F + f], W[e, 2 * F + f]
                a1 = cS[j, F + f] * W1 + cW[e, F + f] * S1
                a2 = cS[j, 2 * F + f] * W2 + cW[e, 2 * F + f] * S2
                b1, b2 = S1 * W1, S2 * W2
                dgs[i, f] += cS[j, f] * W[e, f] + cW[e, f] * S[j, f]
                dgv[i, 0, f] += a1 * x + a2 * V[j, 0, f] + b2 * cV[j, 0, f] + b1 * cx
                dgv[i, 1, f] += a1 * y + a2 * V[j, 1, f] + b2 * cV[j, 1, f] + b1 * cy
                dgv[i, 2, f] += a1 * z + a2 * V[j, 2, f] + b2 * cV[j, 2, f] + b1 * cz
