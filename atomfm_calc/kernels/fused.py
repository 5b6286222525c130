"""Derivatives of fused kernels: how the programs of a device follow from one another.

A kernel writes `Programs`; what is here is the same for all of them. The messages are a polynomial
of the inputs, so their gradient, and the gradient of that (needed to train on forces), are programs
of the same kind. There are two ways:

- `messages` takes the filters of every edge.
- `tabulated_messages` is for inference: it reads the filters from a table and has no array of size
  [E, 3F] at all. Where derivatives of its gradient are asked for, the gradient is made by the first
  way from the exact filters, so second derivatives are never those of a table.

Where a second gradient will be differentiated in turn, plain torch makes it: no program, but exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from atomfm_calc.kernels import reference
from atomfm_calc.kernels.tables import FilterTable

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class Programs:
    """What a kernel computes itself; `sides` are the edges as it wants them.

    S, V, W, U are the states, vectors, filters and directions of `reference.messages`, d distances;
    gs, gv the gradients with respect to the two sums; cS .. cU those with respect to the gradients.
    """

    messages: Callable[..., Tensors]
    """Sides, S, V, W, U -> the two sums"""
    gradient: Callable[..., Tensors]
    """Sides, S, V, W, U, gs, gv -> gradients of S, V, W, U"""
    second_gradient: Callable[..., Tensors]
    """Sides, S, V, W, U, gs, gv, cS, cV, cW, cU -> gradients of S, V, W, U, gs, gv"""
    tabulated_messages: Callable[..., Tensors]
    """Sides, table, S, V or None, d, U -> the two sums"""
    tabulated_gradient: Callable[..., tuple[Tensor | None, ...]]
    """Sides, table, S, V or None, d, U, gs, gv -> gradients of S, V (None without V), d, U"""


class _Messages(torch.autograd.Function):
    """Sum of messages; differentiable without end."""

    @staticmethod
    def forward(ctx: Any, programs: Programs, sides: Any, *inputs: Tensor) -> Tensors:
        ctx.save_for_backward(*inputs)  # the inputs themselves: a copy would lose the way back
        ctx.programs, ctx.sides = programs, sides
        return programs.messages(sides, *inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = (*ctx.saved_tensors, *gradients)
        return (None, None, *_MessagesGradient.apply(ctx.programs, ctx.sides, *inputs))


class _MessagesGradient(torch.autograd.Function):
    """Gradient of the sum of messages."""

    @staticmethod
    def forward(ctx: Any, programs: Programs, sides: Any, *inputs: Tensor) -> Tensors:
        ctx.save_for_backward(*inputs)
        ctx.programs, ctx.sides = programs, sides
        return programs.gradient(sides, *inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, sides = ctx.saved_tensors, ctx.sides
        # not `once_differentiable`: `torch.autograd.grad` leaves out its error and the term with it
        if torch.is_grad_enabled():
            results = reference.second_gradient(inputs, gradients, sides.edge_index)
        else:
            results = ctx.programs.second_gradient(sides, *inputs, *gradients)
        return (None, None, *results)


class _TabulatedMessages(torch.autograd.Function):
    """Sum of messages with filters from a table."""

    @staticmethod
    def forward(
        ctx: Any, programs: Programs, sides: Any, table: FilterTable, *inputs: Tensor | None
    ) -> Tensors:
        ctx.save_for_backward(*inputs)
        ctx.programs, ctx.sides, ctx.table = programs, sides, table
        return programs.tabulated_messages(sides, table, *inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # the engine switches this on if and only if the gradient will be differentiated in turn
        if torch.is_grad_enabled():
            results = _exact_gradient(ctx, *gradients)
        else:
            inputs = (*ctx.saved_tensors, *gradients)
            results = ctx.programs.tabulated_gradient(ctx.sides, ctx.table, *inputs)
        return (None, None, None, *results)


def messages(
    programs: Programs,
    states: Tensor,
    vectors: Tensor | None,
    filters: Tensor,
    directions: Tensor,
    sides: Any,
) -> tuple[Tensor, Tensor]:
    """Sum of PaiNN's messages; arguments, shapes and results as in `reference.messages`."""
    inputs = (states, reference.zeros_if_none(vectors, states), filters, directions)
    result: tuple[Tensor, Tensor] = _Messages.apply(programs, sides, *inputs)
    return result


def tabulated_messages(
    programs: Programs,
    states: Tensor,
    vectors: Tensor | None,
    distances: Tensor,
    directions: Tensor,
    table: FilterTable,
    sides: Any,
) -> tuple[Tensor, Tensor]:
    """Sum of PaiNN's messages with the filters of a table: `distances` [E] in place of filters."""
    inputs = (states, vectors, distances, directions)
    result: tuple[Tensor, Tensor] = _TabulatedMessages.apply(programs, sides, table, *inputs)
    return result


def _exact_gradient(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    """Gradient of `tabulated_messages` with exact filters, itself differentiable."""
    states, vectors, distances, directions = ctx.saved_tensors
    filters = ctx.table.exact(distances)
    inputs = (states, reference.zeros_if_none(vectors, states), filters, directions)
    of_states, of_vectors, of_filters, of_directions = _MessagesGradient.apply(
        ctx.programs, ctx.sides, *inputs, *gradients
    )
    of_distances = None
    if distances.requires_grad:
        (of_distances,) = torch.autograd.grad(filters, distances, of_filters, create_graph=True)
    return of_states, None if vectors is None else of_vectors, of_distances, of_directions
