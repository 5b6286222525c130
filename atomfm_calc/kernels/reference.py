"""Message passing in plain torch: this defines what every other kernel must give."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from atomfm_calc.kernels.scatter import gather, sum_to_rows
from atomfm_calc.kernels.tables import FilterTable


def sides(edge_index: Tensor, n_atoms: int) -> Tensor:
    """The edges themselves: plain torch needs no other order of them."""
    return edge_index


def messages(
    states: Tensor, vectors: Tensor | None, filters: Tensor, directions: Tensor, edge_index: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum of PaiNN's messages over the neighbors of each atom.

    Args:
        states: [N, 3F], the paper's phi(s_j).
        vectors: [N, 3, F], the paper's v_j; None while all of them are zero.
        filters: [E, 3F], the paper's W(|r_ij|), cutoff included.
        directions: [E, 3], unit vectors from center to neighbor.
        edge_index: [2, E], center and neighbor.

    Returns:
        change of the scalars [N, F] and of the vectors [N, 3, F].
    """
    center, neighbor = edge_index
    n_atoms, n_features = states.shape[0], states.shape[1] // 3
    filtered = gather(states, neighbor) * filters  # [E, 3F]
    to_scalars, along_direction, along_vectors = filtered.split(n_features, dim=1)
    to_vectors = directions[:, :, None] * along_direction[:, None, :]  # [E, 3, F]
    if vectors is not None:
        to_vectors = to_vectors + gather(vectors, neighbor) * along_vectors[:, None, :]
    return (
        sum_to_rows(to_scalars, center, n_atoms),
        sum_to_rows(to_vectors, center, n_atoms),
    )


def second_gradient(
    tensors: Sequence[Tensor], gradients: Sequence[Tensor], edge_index: Tensor
) -> tuple[Tensor, ...]:
    """Gradient of the gradient of `messages`, itself differentiable, for kernels that have none.

    Args:
        tensors: states, vectors, filters, directions and the gradients with respect to the results.
        gradients: with respect to the gradients of the first four.
        edge_index: [2, E], center and neighbor.

    Returns:
        one for each of `tensors`.
    """
    # views, because one may have been made from another
    given = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_(True) for t in tensors]
    states, vectors, filters, directions, *_ = given
    values = messages(states, vectors, filters, directions, edge_index)
    first = torch.autograd.grad(values, given[:4], given[4:], create_graph=True)
    return torch.autograd.grad(first, given, gradients, create_graph=True, materialize_grads=True)


def zeros_if_none(vectors: Tensor | None, states: Tensor) -> Tensor:
    """Vectors [N, 3, F] of atoms with `states` [N, 3F]; zeros where there are none yet."""
    if vectors is not None:
        return vectors
    return states.new_zeros((states.shape[0], 3, states.shape[1] // 3))


def tabulated_messages(
    states: Tensor,
    vectors: Tensor | None,
    distances: Tensor,
    directions: Tensor,
    table: FilterTable,
    edge_index: Tensor,
) -> tuple[Tensor, Tensor]:
    """`messages` with the filters that a table stands for, as functions of the `distances` [E].

    Other kernels read the table, within `tables.error_bounds`; here the filters are exact, and so
    are they in derivatives of derivatives with any kernel.
    """
    return messages(states, vectors, table.exact(distances), directions, edge_index)
