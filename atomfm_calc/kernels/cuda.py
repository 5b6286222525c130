"""Fused message passing on CUDA devices: `reference` in one pass over the edges.

The programs of `fused` in Triton (`cuda_programs`): training on forces uses them too.

Triton comes with the CUDA builds of torch. Its interpreter runs the same programs on the CPU, for
tests.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from atomfm_calc.errors import SetupError
from atomfm_calc.kernels import cuda_programs as programs
from atomfm_calc.kernels import fused
from atomfm_calc.kernels.tables import FilterTable


class Sides:
    """The edges seen from their centers and from their neighbors; made once per graph."""

    def __init__(self, edge_index: Tensor, n_atoms: int) -> None:
        """Edges [2, E] are sorted by center.

        Raises:
            SetupError: they are not on a CUDA device.
        """
        if edge_index.device.type != "cuda" and not programs.IS_INTERPRETED:
            raise SetupError(
                f"kernel 'cuda' computes on CUDA devices, not on {edge_index.device.type!r}; "
                "use device='cuda', or kernel='reference', or leave the kernel to be chosen"
            )
        self.edge_index = edge_index
        self.center, self.neighbor = (row.contiguous() for row in edge_index)
        self.n_atoms = n_atoms

    @cached_property
    def by_center(self) -> tuple[Tensor, Tensor]:
        """First edge of each center [N + 1], neighbor of each edge [E]."""
        return self._starts(self.center), self.neighbor

    @cached_property
    def by_neighbor(self) -> tuple[Tensor, Tensor, Tensor]:
        """First place of each neighbor [N + 1], edges in their order [E], center of each edge."""
        neighbors, order = torch.sort(self.neighbor, stable=True)
        return self._starts(neighbors), order, self.center

    def _starts(self, atoms: Tensor) -> Tensor:
        return torch.searchsorted(atoms, torch.arange(self.n_atoms + 1, device=atoms.device))


def _messages(sides: Sides, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    return _by_center(programs.messages, sides, *inputs)


def _gradient(sides: Sides, *inputs: Tensor) -> tuple[Tensor, ...]:
    return _by_neighbor(programs.gradient, sides, *inputs)


def _second_gradient(sides: Sides, *inputs: Tensor) -> tuple[Tensor, ...]:
    of_inputs = _by_neighbor(programs.second_by_neighbor, sides, *inputs)
    return (*of_inputs, *_by_center(programs.second_by_center, sides, *inputs[:4], *inputs[6:]))


def _tabulated_messages(
    sides: Sides, table: FilterTable, states: Tensor, vectors: Tensor | None, *others: Tensor
) -> tuple[Tensor, Tensor]:
    results = _room_for_sums(states)
    start, neighbor = sides.by_center
    arrays = (neighbor, *_tabulated(table, states, vectors, *others), *results)
    constants = _constants(states, vectors, table)
    programs.launch(programs.tabulated_messages, arrays, start, **constants)
    return results


def _tabulated_gradient(
    sides: Sides, table: FilterTable, states: Tensor, vectors: Tensor | None, *others: Tensor
) -> tuple[Tensor | None, ...]:
    distances, directions, *gradients = others
    n_edges, blocks = len(distances), programs.n_blocks(_n_features(states))
    of_states = states.new_empty(states.shape)
    of_vectors = None if vectors is None else vectors.new_empty(vectors.shape)
    of_distances = states.new_empty((blocks, n_edges))
    of_directions = states.new_empty((blocks, n_edges, 3))
    start, *edges = sides.by_neighbor
    arrays = (
        *edges,
        *_tabulated(table, states, vectors, distances, directions),
        *_contiguous(*gradients),
        *(of_states, of_states if of_vectors is None else of_vectors),
        *(of_distances, of_directions, n_edges),
    )
    constants = _constants(states, vectors, table)
    programs.launch(programs.tabulated_gradient, arrays, start, **constants)
    return of_states, of_vectors, _added(of_distances), _added(of_directions)


def _by_center(program: Any, sides: Sides, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Scalars and vectors of the centers, with a program that runs over them."""
    results = _room_for_sums(inputs[0])
    start, neighbor = sides.by_center
    arrays = (neighbor, *_contiguous(*inputs), *results)
    programs.launch(program, arrays, start, F=_n_features(inputs[0]))
    return results


def _by_neighbor(program: Any, sides: Sides, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Gradients of S, V, W, U, with a program that runs over the neighbors."""
    states, vectors, filters, directions, *_ = inputs
    n_edges, blocks = len(directions), programs.n_blocks(_n_features(states))
    results = [tensor.new_empty(tensor.shape) for tensor in (states, vectors, filters)]
    of_directions = directions.new_empty((blocks, n_edges, 3))
    start, *others = sides.by_neighbor
    arrays = (*others, *_contiguous(*inputs), *results, of_directions, n_edges)
    programs.launch(program, arrays, start, F=_n_features(states))
    return (*results, _added(of_directions))


def _added(parts: Tensor) -> Tensor:
    """Sum over blocks of channels."""
    return parts[0] if len(parts) == 1 else parts.sum(dim=0)


def _n_features(states: Tensor) -> int:
    return states.shape[1] // 3


def _room_for_sums(states: Tensor) -> tuple[Tensor, Tensor]:
    n_atoms, n_features = states.shape[0], _n_features(states)
    return states.new_empty((n_atoms, n_features)), states.new_empty((n_atoms, 3, n_features))


def _contiguous(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().contiguous() for tensor in tensors]


def _tabulated(
    table: FilterTable,
    states: Tensor,
    vectors: Tensor | None,
    distances: Tensor,
    directions: Tensor,
) -> list[Tensor]:
    """S, V, T, d, U; the program reads no V if there are no vectors."""
    given = states if vectors is None else vectors
    return _contiguous(states, given, table.rows, distances, directions)


def _constants(states: Tensor, vectors: Tensor | None, table: FilterTable) -> dict[str, Any]:
    names = ("ORIGIN", "PER_STEP", "CUTOFF", "N_INTERVALS")
    grid = dict(zip(names, table.grid, strict=True))
    return {"HAS_VECTORS": vectors is not None, "F": _n_features(states), **grid}


_PROGRAMS = fused.Programs(
    messages=_messages,
    gradient=_gradient,
    second_gradient=_second_gradient,
    tabulated_messages=_tabulated_messages,
    tabulated_gradient=_tabulated_gradient,
)
messages = partial(fused.messages, _PROGRAMS)
tabulated_messages = partial(fused.tabulated_messages, _PROGRAMS)
