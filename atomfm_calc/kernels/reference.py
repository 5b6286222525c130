"""Message passing in plain torch: this defines what every other kernel must give."""

from __future__ import annotations

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
