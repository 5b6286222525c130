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
from atomfm_calc.kernels.cpu import Sides, places_in_table
from atomfm_calc.kernels.cpu_memory import Memory
from atomfm_calc.kernels.cpu_products import bits_like, packed
from atomfm_calc.kernels.cpu_threads import over_layer

Array = NDArray[Any]


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
    table: Array
    """Rows of the filters"""
    grid: tuple[float, float, float, int]
    """Of the table, the same for all layers"""


class _Room(NamedTuple):
    """Where a layer writes, and what its gradient reads; shapes as in `cpu_network_loops`."""

    state_hidden: Array
    S: Array
    s: Array
    v: Array
    M: Array
    length: Array
    dot: Array
    hidden: Array
    G: Array

    @property
    def update(self) -> tuple[Array, ...]:
        """What the update block leaves."""
        return self[4:]


LASTING = ((), (3,), (), (3,))
PASSING = ((3, 2), (), (), (), (3,))
"""Shapes in a `_Room`, between atoms and channels: first those that the next layer reads."""


class _Trace(NamedTuple):
    """What the gradient needs to know of a layer."""

    room: _Room
    V: Array
    """Vectors that came in; no channels in the first layer"""


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
            table=_plain(w.table.rows),
            grid=w.table.grid,
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
        features = embedding.detach().contiguous().numpy()
        keep = ctx.needs_input_grad[1]
        memory, rooms = _rooms(features, len(weights), keep=keep)
        edges = (*places_in_table(distances, weights[0].grid), directions)
        s, v, traces = _forward(features, weights, sides, edges, rooms)
        ctx.weights, ctx.sides, ctx.layers = weights, sides, layers
        if keep:
            ctx.distances, ctx.edges, ctx.traces, ctx.memory = distances, edges, traces, memory
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
        return None, torch.from_numpy(_backward(ctx, gs, gv)), None, None, None


def _rooms(embedding: Array, n_layers: int, *, keep: bool) -> tuple[Memory, list[_Room]]:
    """A room for each layer, or two in turns, and the memory that they are in."""
    n_atoms, n_features = embedding.shape
    n_rooms = n_layers if keep else min(2, n_layers)
    shapes = [(n_atoms, *between, n_features) for between in (*LASTING, *PASSING)]
    lasting, passing = shapes[: len(LASTING)], shapes[len(LASTING) :]
    n_passing = n_rooms if keep else 1
    memory = Memory(embedding.dtype, n_rooms * lasting + n_passing * passing)
    arrays, n = memory.arrays, len(LASTING)
    others = arrays[n_rooms * n :]
    passed = [others[first : first + len(PASSING)] for first in range(0, len(others), len(PASSING))]
    return memory, [
        _Room(*arrays[number * n : (number + 1) * n], *passed[number % n_passing])
        for number in range(n_rooms)
    ]


def _forward(
    embedding: Array,
    weights: Sequence[Prepared],
    sides: Sides,
    edges: tuple[Array, ...],
    rooms: Sequence[_Room],
) -> tuple[Array, Array, list[_Trace]]:
    """Scalars, vectors and, if there is a room for each layer, what the gradient needs to know."""
    bits = bits_like(embedding)
    start, neighbor = sides.by_center
    room, s, V = rooms[0], embedding, np.empty((len(embedding), 3, 0), embedding.dtype)
    traces = []
    w = weights[0]
    arrays = (neighbor, *edges, w.table, s, room.S, V, w.update, s, room.v, room.update)
    first = (w.states, room.state_hidden, room.S, bits)
    over_layer(loops.layer, start, *arrays, *first, False)
    for index, w in enumerate(weights):
        if index + 1 < len(weights):
            following, after = weights[index + 1], rooms[(index + 1) % len(rooms)]
            told, new_s, new_v = (after.state_hidden, after.S), room.s, room.v
        else:  # these are given away
            following, after, told = w, room, (room.state_hidden[:0], room.S[:0])
            new_s, new_v = np.empty_like(room.s), np.empty_like(room.v)
        over_layer(
            loops.layer,
            start,
            *(neighbor, *edges, w.table, s, room.S, V, w.update, new_s, new_v, room.update),
            *(following.states, *told, bits, True),
        )
        traces.append(_Trace(room, V))
        s, V, room = new_s, new_v, after
    return s, V, traces


def _backward(ctx: Any, *given: Tensor | None) -> Array:
    """Gradient by the edge vectors [E, 3], for those by scalars and vectors."""
    weights, traces, distances, directions = ctx.weights, ctx.traces, ctx.distances, ctx.edges[-1]
    room, bits = traces[0].room, bits_like(distances)
    kinds = (room.s, room.v, room.s, room.v, room.S)
    memory = Memory(distances.dtype, [kind.shape for kind in kinds])
    gs, gv, new_gs, new_gv, dS = memory.arrays
    for gradient, of_tensor in zip((gs, gv), given, strict=True):
        gradient[...] = 0.0 if of_tensor is None else of_tensor.detach().numpy()
    of_distances, of_directions = np.zeros_like(distances), np.zeros_like(directions)
    start, order, center = ctx.sides.by_neighbor

    def back(index: int, previous: int, gradients: tuple[Array, ...], *, was_heard: bool) -> None:
        w, (room, V) = weights[index], traces[index]
        over_layer(
            loops.layer_gradient,
            start,
            *(order, center, *ctx.edges, w.table),
            *(room.state_hidden, room.S, V, w.states_back, *gradients[:2]),
            *(dS, of_distances, of_directions, *gradients[2:]),
            *(weights[previous].update_back, traces[previous].room.update, bits, was_heard),
        )

    last = len(weights) - 1
    back(last, last, (gs, gv, new_gs, new_gv), was_heard=False)
    for index in range(last, -1, -1):
        into = new_gv if index else traces[0].V  # no vectors came into the first layer
        back(index, max(index - 1, 0), (gs, gv, new_gs, into), was_heard=True)
        gs, gv, new_gs, new_gv = new_gs, new_gv, gs, gv
    result = np.empty_like(directions)
    loops.geometry_gradient(distances, directions, of_distances, of_directions, result)
    return result


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
