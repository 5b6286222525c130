"""Fused message passing on the CPU: `reference` in one pass over the edges, see `cpu_loops`.

Plain torch writes and rereads a dozen arrays of size [E, 3F] per layer; here each edge is read once
and its messages are added up in cache. There are two ways:

- `messages` takes the filters of every edge. The messages are a polynomial of the inputs, so the
  gradient and the gradient of the gradient (needed to train on forces) are loops of the same kind.
- `tabulated_messages` is for inference: it reads the filters from a table and has no array of size
  [E, 3F] at all. Its gradient is a loop too; where derivatives of that are asked for, the gradient
  is made by the first way from the exact filters, so second derivatives are never those of a table.

The loops run on torch's own threads, see `cpu_threads`. Compiled at the first call, kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.kernels import cpu_loops as loops
from atomfm_calc.kernels import reference
from atomfm_calc.kernels.cpu_threads import over_edges
from atomfm_calc.kernels.tables import FilterTable

Array = NDArray[Any]


class Sides:
    """The edges seen from their centers and from their neighbors; made once per graph."""

    def __init__(self, edge_index: Tensor, n_atoms: int) -> None:
        """Edges [2, E] are sorted by center."""
        self.edge_index = edge_index
        self.center, self.neighbor = (np.ascontiguousarray(row) for row in edge_index.numpy())
        self.n_atoms = n_atoms

    @cached_property
    def _parts(self) -> tuple[Array, Array, Array]:
        parts: tuple[Array, Array, Array] = loops.transpose(
            self.center, self.neighbor, self.n_atoms
        )
        return parts

    @property
    def by_center(self) -> tuple[Array, Array]:
        """First edge of each center [N + 1], neighbor of each edge [E]."""
        return self._parts[0], self.neighbor

    @property
    def by_neighbor(self) -> tuple[Array, Array, Array]:
        """First place of each neighbor [N + 1], edges in their order [E], center of each edge."""
        return self._parts[1], self._parts[2], self.center


class _Messages(torch.autograd.Function):
    """Sum of messages; differentiable twice."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, vectors: Tensor, filters: Tensor, directions: Tensor, sides: Sides
    ) -> tuple[Tensor, Tensor]:
        inputs = (states, vectors, filters, directions)
        ctx.save_for_backward(*inputs)  # the inputs themselves: a copy would lose the way back
        ctx.sides = sides
        results = _room_for_sums(states)
        over_edges(loops.messages, *sides.by_center, *_inputs(*inputs), *as_arrays(*results))
        return results

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
        arrays = (*_inputs(*tensors[:4]), *as_arrays(*tensors[4:]), *_inputs(*results))
        over_edges(loops.gradient, *sides.by_neighbor, *arrays)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        # not `once_differentiable`: `torch.autograd.grad` leaves out its error and the term with it
        if torch.is_grad_enabled():
            return (*reference.second_gradient(tensors, gradients, ctx.sides.edge_index), None)
        by_center, by_neighbor = ctx.sides.by_center, ctx.sides.by_neighbor
        inputs, upstream = _inputs(*tensors[:4]), _inputs(*gradients)
        of_inputs, of_gradients = _new(tensors), _room_for_sums(tensors[0])
        over_edges(
            loops.second_by_neighbor,
            *(*by_neighbor, *inputs, *as_arrays(*tensors[4:]), *upstream, *_inputs(*of_inputs)),
        )
        over_edges(
            loops.second_by_center, *by_center, *inputs, *upstream, *as_arrays(*of_gradients)
        )
        return (*of_inputs, *of_gradients, None)


class _TabulatedMessages(torch.autograd.Function):
    """Sum of messages with filters from a table; differentiable twice, see `backward`."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, vectors: Tensor | None, distances: Tensor, directions: Tensor,
        table: FilterTable, sides: Sides,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        ctx.save_for_backward(states, vectors, distances, directions)
        ctx.table, ctx.sides = table, sides
        results = _room_for_sums(states)
        arrays = _tabulated_inputs(states, vectors, table, distances, directions)
        over_edges(loops.tabulated_messages, *sides.by_center, *arrays, *as_arrays(*results))
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, vectors, distances, directions = ctx.saved_tensors
        # the engine switches this on if and only if the gradient will be differentiated in turn
        if torch.is_grad_enabled():
            return (*reference.exact_gradient(ctx, gradients, _MessagesGradient.apply), None, None)
        of_states = torch.zeros_like(states, memory_format=torch.contiguous_format)
        of_vectors = None if vectors is None else torch.zeros(vectors.shape, dtype=states.dtype)
        of_distances = torch.empty(distances.shape, dtype=states.dtype)
        of_directions = torch.empty(directions.shape, dtype=states.dtype)
        over_edges(
            loops.tabulated_gradient,
            *ctx.sides.by_neighbor,
            *_tabulated_inputs(states, vectors, ctx.table, distances, directions),
            *as_arrays(*gradients),
            *_states_and_vectors(of_states, of_vectors),
            *as_arrays(of_distances, of_directions),
        )
        return of_states, of_vectors, of_distances, of_directions, None, None


def messages(
    states: Tensor, vectors: Tensor | None, filters: Tensor, directions: Tensor, sides: Sides
) -> tuple[Tensor, Tensor]:
    """Sum of PaiNN's messages; arguments, shapes and results as in `reference.messages`."""
    result: tuple[Tensor, Tensor] = _Messages.apply(
        states, reference.zeros_if_none(vectors, states), filters, directions, sides
    )
    return result


def tabulated_messages(
    states: Tensor,
    vectors: Tensor | None,
    distances: Tensor,
    directions: Tensor,
    table: FilterTable,
    sides: Sides,
) -> tuple[Tensor, Tensor]:
    """Sum of PaiNN's messages with the filters of a table: `distances` [E] in place of filters."""
    result: tuple[Tensor, Tensor] = _TabulatedMessages.apply(
        states, vectors, distances, directions, table, sides
    )
    return result


def _room_for_sums(states: Tensor) -> tuple[Tensor, Tensor]:
    n_atoms, n_features = states.shape[0], states.shape[1] // 3
    return states.new_zeros((n_atoms, n_features)), states.new_zeros((n_atoms, 3, n_features))


def _new(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Room for the gradients of S, V (added up: zeros) and W, U (each edge written once)."""
    makers: list[Callable[..., Tensor]] = [torch.zeros, torch.zeros, torch.empty, torch.empty]
    pairs = zip(makers, tensors[:4], strict=True)
    return [make(tensor.shape, dtype=tensor.dtype) for make, tensor in pairs]


def as_arrays(*tensors: Tensor) -> list[Array]:
    """NumPy's view of tensors; a copy where the order in memory is not the usual one."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _inputs(states: Tensor, vectors: Tensor, filters: Tensor, directions: Tensor) -> list[Array]:
    """Arrays of S, V, W, U, the three parts of S and W apart."""
    S, V, W, U = as_arrays(states, vectors, filters, directions)
    return [S.reshape(V.shape), V, W.reshape(len(W), 3, V.shape[2]), U]


def _states_and_vectors(states: Tensor, vectors: Tensor | None) -> tuple[Array, Array]:
    """Arrays of S, its parts apart, and V, without channels if there are none."""
    (S,) = as_arrays(states)
    shape = (S.shape[0], 3, S.shape[1] // 3)
    V = np.empty((shape[0], 3, 0), S.dtype) if vectors is None else as_arrays(vectors)[0]
    return S.reshape(shape), V


def _tabulated_inputs(
    states: Tensor,
    vectors: Tensor | None,
    table: FilterTable,
    distances: Tensor,
    directions: Tensor,
) -> tuple[Any, ...]:
    S, V = _states_and_vectors(states, vectors)
    T, d, U = as_arrays(table.rows, distances, directions)
    return S, V, T, table.grid, d, U
