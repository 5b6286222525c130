"""All layers of a frozen PaiNN in a row on the CPU, and the gradient by the edge vectors.

The equations are those of `models.painn`. Plain torch does some hundred small operations for each
layer, which for a hundred atoms take longer than the arithmetic, and for many atoms wait for
memory. Here a layer is one compiled loop over blocks of atoms, matrix products included; a gradient
is one more. Where derivatives of the gradient are asked for, they are those of the layers one by
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.kernels import Layers, LayerWeights
from atomfm_calc.kernels import cpu_network_loops as loops
from atomfm_calc.kernels.cpu import Sides
from atomfm_calc.kernels.cpu_products import packed
from atomfm_calc.kernels.cpu_threads import over_layer

Array = NDArray[Any]
INTEGERS = {4: np.int32, 8: np.int64}
"""By bytes of a real number."""


class Prepared(NamedTuple):
    """The weights of a layer, as the loops want them: matrices are `packed`."""

    states: tuple[Array, ...]
    """Two layers: weights [F, F] and [F, 3F], each with its bias behind it"""
    update: tuple[Any, ...]
    """Mix [F, 2F]; hidden [F, F] of scalars and of lengths, and bias; gates [F, 3F] and bias;
    offset"""
    states_back: tuple[Array, ...]
    """[F, F], [3F, F]"""
    update_back: tuple[Array, ...]
    """[2F, F], [F, 2F], [3F, F]"""
    table: tuple[Array, tuple[float, float, float, int]]
    """Rows and grid of the filters"""


class _Trace(NamedTuple):
    """What the gradient needs to know of a layer; shapes as in `cpu_network_loops`."""

    state_hidden: Array
    S: Array
    V: Array
    """Vectors that came in; no channels in the first layer"""
    update: tuple[Array, ...]
    """M, length, dot, hidden, G"""


def prepare(layers: Sequence[LayerWeights]) -> list[Prepared]:
    """Copies of the weights, arranged as each product wants them."""
    return [
        Prepared(
            states=(
                _matrix(w.state_hidden.T),
                _plain(w.state_hidden_bias),
                _matrix(w.states.T),
                _plain(w.states_bias),
            ),
            update=(
                *(_matrix(part.T) for part in (w.mix, *w.hidden.chunk(2, dim=1))),
                _plain(w.hidden_bias),
                _matrix(w.gates.T),
                _plain(w.gates_bias),
                float(w.offset),
            ),
            states_back=(_matrix(w.state_hidden), _matrix(w.states)),
            update_back=(_matrix(w.mix), _matrix(w.hidden), _matrix(w.gates)),
            table=(_plain(w.table.rows), w.table.grid),
        )
        for w in layers
    ]


def _plain(tensor: Tensor) -> Array:
    array: Array = tensor.detach().contiguous().numpy()
    return array


def _matrix(weight: Tensor) -> Array:
    return packed(_plain(weight))


class _Network(torch.autograd.Function):
    """Scalars [N, F] and vectors [N, 3, F]; differentiable as often as `layers` are."""

    @staticmethod
    def forward(
        ctx: Any,
        embedding: Tensor,
        edge_vectors: Tensor,
        weights: Sequence[Prepared],
        sides: Sides,
        layers: Layers,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(embedding, edge_vectors)
        r = edge_vectors.detach().contiguous().numpy()
        distances, directions = np.empty(len(r), r.dtype), np.empty_like(r)
        loops.geometry(r, distances, directions)
        s, v, traces = _forward(
            embedding.detach().contiguous().numpy(),
            weights,
            sides,
            (distances, directions),
            keep=ctx.needs_input_grad[1],
        )
        ctx.weights, ctx.sides, ctx.layers = weights, sides, layers
        ctx.edges, ctx.traces = (distances, directions), traces
        return torch.from_numpy(s), torch.from_numpy(v)

    @staticmethod
    def backward(ctx: Any, gs: Tensor | None, gv: Tensor | None) -> tuple[Tensor | None, ...]:
        embedding, edge_vectors = ctx.saved_tensors
        # the engine switches this on if and only if the gradient will be differentiated in turn
        if torch.is_grad_enabled():
            pairs = zip(ctx.layers(embedding, edge_vectors), (gs, gv), strict=True)
            used = [(value, gradient) for value, gradient in pairs if gradient is not None]
            values, gradients = zip(*used, strict=True)
            (result,) = torch.autograd.grad(values, edge_vectors, gradients, create_graph=True)
            return None, result, None, None, None
        n_atoms, n_features = embedding.shape
        shapes = (n_atoms, n_features), (n_atoms, 3, n_features)
        given = [
            np.zeros(shape, ctx.edges[0].dtype)
            if gradient is None
            else np.array(gradient.detach().numpy(), order="C")  # a copy: it is written to
            for gradient, shape in zip((gs, gv), shapes, strict=True)
        ]
        return None, torch.from_numpy(_backward(ctx, *given)), None, None, None


def _forward(
    embedding: Array,
    weights: Sequence[Prepared],
    sides: Sides,
    edges: tuple[Array, Array],
    *,
    keep: bool,
) -> tuple[Array, Array, list[_Trace]]:
    """Scalars, vectors and, if they are to be kept, what the gradient needs to know."""
    n_atoms, n_features = embedding.shape
    real, bits = embedding.dtype, _bits(embedding)

    def room(*shape: int) -> Array:
        return np.empty((n_atoms, *shape, n_features), real)

    start, neighbor = sides.by_center
    s, V = embedding, np.empty((n_atoms, 3, 0), real)
    state_hidden, S = room(), room(3)
    over_layer(loops.states, start, s, weights[0].states, state_hidden, S, bits, takes_start=False)
    traces = []
    for index, w in enumerate(weights):
        following = weights[index + 1] if index + 1 < len(weights) else None
        update = (room(3, 2), room(), room(), room(), room(3))
        new_s, v = room(), room(3)
        next_hidden, next_S = (room(), room(3)) if following else (room()[:0], room(3)[:0])
        over_layer(
            loops.layer,
            start,
            *(neighbor, *edges, w.table, s, S, V, w.update, new_s, v, update),
            *((following or w).states, next_hidden, next_S, bits),
        )
        if keep:
            traces.append(_Trace(state_hidden, S, V, update))
        s, V, state_hidden, S = new_s, v, next_hidden, next_S
    return s, V, traces


def _backward(ctx: Any, gs: Array, gv: Array) -> Array:
    """Gradient by the edge vectors [E, 3]."""
    weights, traces, (distances, directions) = ctx.weights, ctx.traces, ctx.edges
    bits, dS = _bits(gs), np.empty_like(traces[0].S)
    of_distances, of_directions = np.zeros_like(distances), np.zeros_like(directions)
    start, order, center = ctx.sides.by_neighbor
    over_layer(
        loops.last_gradient,
        start,
        *(gs, gv, weights[-1].update_back, traces[-1].update, bits),
        takes_start=False,
    )
    for index in range(len(weights) - 1, -1, -1):
        w, trace, previous = weights[index], traces[index], max(index - 1, 0)
        new_gs, new_gv = (np.empty_like(gs), np.empty_like(gv)) if index else (gs, trace.V)
        over_layer(
            loops.layer_gradient,
            start,
            *(order, center, distances, directions, w.table),
            *(trace.state_hidden, trace.S, trace.V, w.states_back, gs, gv),
            *(dS, of_distances, of_directions, new_gs, new_gv),
            *(weights[previous].update_back, traces[previous].update, bits),
        )
        gs, gv = new_gs, new_gv
    result = np.empty_like(directions)
    loops.geometry_gradient(distances, directions, of_distances, of_directions, result)
    return result


def _bits(array: Array) -> Array:
    return np.empty(0, INTEGERS[array.dtype.itemsize])


def network(
    embedding: Tensor,
    edge_vectors: Tensor,
    weights: Sequence[Prepared],
    sides: Sides,
    layers: Layers,
) -> tuple[Tensor, Tensor]:
    """What `layers` gives, faster.

    Args:
        embedding: [N, F], scalars before the first layer; no gradient by them is computed.
        edge_vectors: [E, 3] Å.
        weights: from `prepare`, of `layers`, frozen.
        sides: the edges.
        layers: the same in single blocks, for derivatives of the gradient.
    """
    result: tuple[Tensor, Tensor] = _Network.apply(embedding, edge_vectors, weights, sides, layers)
    return result
