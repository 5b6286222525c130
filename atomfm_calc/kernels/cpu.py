"""Fused message passing on the CPU: `reference` in one pass over the edges, see `cpu_loops`.

Plain torch writes and rereads a dozen arrays of size [E, 3F] per layer; here each edge is read once
and its messages are added up in cache. `fused` says how the loops follow from one another.

The loops run on torch's own threads, see `cpu_threads`. Compiled at the first call, kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.kernels import cpu_loops as loops
from atomfm_calc.kernels import fused
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


def _messages(sides: Sides, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    results = _room_for_sums(inputs[0])
    over_edges(loops.messages, *sides.by_center, *_inputs(*inputs), *as_arrays(*results))
    return results


def _gradient(sides: Sides, *inputs: Tensor) -> tuple[Tensor, ...]:
    results = tuple(_new(inputs))
    arrays = (*_inputs(*inputs[:4]), *as_arrays(*inputs[4:]), *_inputs(*results))
    over_edges(loops.gradient, *sides.by_neighbor, *arrays)
    return results


def _second_gradient(sides: Sides, *inputs: Tensor) -> tuple[Tensor, ...]:
    given, upstream = _inputs(*inputs[:4]), _inputs(*inputs[6:])
    of_inputs, of_gradients = _new(inputs), _room_for_sums(inputs[0])
    arrays = (*given, *as_arrays(*inputs[4:6]), *upstream, *_inputs(*of_inputs))
    over_edges(loops.second_by_neighbor, *sides.by_neighbor, *arrays)
    arrays = (*given, *upstream, *as_arrays(*of_gradients))
    over_edges(loops.second_by_center, *sides.by_center, *arrays)
    return (*of_inputs, *of_gradients)


def _tabulated_messages(
    sides: Sides, table: FilterTable, states: Tensor, vectors: Tensor | None, *others: Tensor
) -> tuple[Tensor, Tensor]:
    results = _room_for_sums(states)
    arrays = (*_tabulated_inputs(table, states, vectors, *others), *as_arrays(*results))
    over_edges(loops.add_tabulated, *sides.by_center, *arrays)
    return results


def _tabulated_gradient(
    sides: Sides, table: FilterTable, states: Tensor, vectors: Tensor | None, *others: Tensor
) -> tuple[Tensor | None, ...]:
    distances, directions, *gradients = others
    of_states = torch.zeros_like(states, memory_format=torch.contiguous_format)
    of_vectors = None if vectors is None else torch.zeros(vectors.shape, dtype=states.dtype)
    of_distances = torch.zeros(distances.shape, dtype=states.dtype)
    of_directions = torch.zeros(directions.shape, dtype=states.dtype)
    over_edges(
        loops.add_tabulated_gradient,
        *sides.by_neighbor,
        *_tabulated_inputs(table, states, vectors, distances, directions),
        *as_arrays(*gradients),
        *_states_and_vectors(of_states, of_vectors),
        *as_arrays(of_distances, of_directions),
    )
    return of_states, of_vectors, of_distances, of_directions


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
    table: FilterTable,
    states: Tensor,
    vectors: Tensor | None,
    distances: Tensor,
    directions: Tensor,
) -> tuple[Any, ...]:
    S, V = _states_and_vectors(states, vectors)
    T, d, U = as_arrays(table.rows, distances, directions)
    return S, V, T, *places_in_table(d, table.grid), U


def places_in_table(d: Array, grid: tuple[float, float, float, int]) -> tuple[Array, Array]:
    """`loops.places_in_table` in new arrays."""
    k, C = np.empty(len(d), np.int64), np.empty((len(d), 12), d.dtype)
    loops.places_in_table(d, grid, k, C)
    return k, C


_PROGRAMS = fused.Programs(
    messages=_messages,
    gradient=_gradient,
    second_gradient=_second_gradient,
    tabulated_messages=_tabulated_messages,
    tabulated_gradient=_tabulated_gradient,
)
messages = partial(fused.messages, _PROGRAMS)
tabulated_messages = partial(fused.tabulated_messages, _PROGRAMS)
