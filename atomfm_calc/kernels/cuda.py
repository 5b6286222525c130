"""Fused message passing on CUDA devices: `reference` in one pass over the edges.

The two ways of `cpu`, as Triton programs (`cuda_programs`): `messages` with the filters of every
edge, whose gradient and second gradient are programs too, so that training on forces uses them;
and `tabulated_messages` for inference, which has no array of size [E, 3F] at all. Where derivatives
of its gradient are asked for, the gradient is made by the first way from the exact filters. Where
the second gradient will be differentiated in turn, plain torch makes it: no program, but exact.

Triton comes with the CUDA builds of torch. Its interpreter runs the same programs on the CPU, for
tests.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from atomfm_calc.errors import SetupError
from atomfm_calc.kernels import cuda_programs as programs
from atomfm_calc.kernels import reference
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
        start, neighbor = sides.by_center
        arrays = (neighbor, *_contiguous(*inputs), *results)
        programs.launch(programs.messages, arrays, start, F=_n_features(states))
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        results = _MessagesGradient.apply(*ctx.saved_tensors, *gradients, ctx.sides)
        return (*results, None)


class _MessagesGradient(torch.autograd.Function):
    """Gradient of the sum of messages; differentiable without end."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, sides = inputs
        ctx.save_for_backward(*tensors)
        ctx.sides = sides
        return _by_neighbor(programs.gradient, sides, *tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        tensors, sides = ctx.saved_tensors, ctx.sides
        # not `once_differentiable`: `torch.autograd.grad` leaves out its error and the term with it
        if torch.is_grad_enabled():
            return (*reference.second_gradient(tensors, gradients, sides.edge_index), None)
        of_inputs = _by_neighbor(programs.second_by_neighbor, sides, *tensors, *gradients)
        of_gradients = _room_for_sums(tensors[0])
        start, neighbor = sides.by_center
        arrays = (neighbor, *_contiguous(*tensors[:4], *gradients), *of_gradients)
        programs.launch(programs.second_by_center, arrays, start, F=_n_features(tensors[0]))
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
        start, neighbor = sides.by_center
        given = _tabulated(states, vectors, table, distances, directions)
        arrays = (neighbor, *given, *results)
        constants = _constants(states, vectors, table)
        programs.launch(programs.tabulated_messages, arrays, start, **constants)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        states, vectors, distances, directions = ctx.saved_tensors
        # the engine switches this on if and only if the gradient will be differentiated in turn
        if torch.is_grad_enabled():
            return (*reference.exact_gradient(ctx, gradients, _MessagesGradient.apply), None, None)
        n_edges, blocks = len(distances), programs.n_blocks(_n_features(states))
        of_states = states.new_empty(states.shape)
        of_vectors = None if vectors is None else vectors.new_empty(vectors.shape)
        of_distances = states.new_empty((blocks, n_edges))
        of_directions = states.new_empty((blocks, n_edges, 3))
        start, *others = ctx.sides.by_neighbor
        arrays = (
            *others,
            *_tabulated(states, vectors, ctx.table, distances, directions),
            *_contiguous(*gradients),
            *(of_states, of_states if of_vectors is None else of_vectors),
            *(of_distances, of_directions, n_edges),
        )
        constants = _constants(states, vectors, ctx.table)
        programs.launch(programs.tabulated_gradient, arrays, start, **constants)
        return of_states, of_vectors, _added(of_distances), _added(of_directions), None, None


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
    states: Tensor,
    vectors: Tensor | None,
    table: FilterTable,
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
