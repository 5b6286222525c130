"""Edge vectors and the repulsion of close atoms on the CPU, one pass over the edges each.

For a hundred atoms, plain torch takes longer for these few numbers per edge, one small operation
after the other and the same again for the gradient, than for a layer of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels import Exact, RepulsionLaw
from atomfm_calc.kernels import cpu_geometry_loops as loops

Array = NDArray[Any]


class _OfPlaces(torch.autograd.Function):
    """A function of positions and cells whose gradient a loop knows."""

    @staticmethod
    def forward(
        ctx: Any,
        positions: Tensor,
        cell: Tensor,
        graph: AtomicGraph,
        compute: Callable[..., tuple[Array, Callable[..., Any]]],
        exact: Exact,
    ) -> Tensor:
        ctx.save_for_backward(positions, cell)
        value, gradient = compute(graph._replace(positions=positions, cell=cell))
        ctx.graph, ctx.gradient, ctx.exact = graph, gradient, exact
        return torch.from_numpy(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        positions, cell = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated in turn
            value = ctx.exact(ctx.graph._replace(positions=positions, cell=cell))
            moved = [tensor for tensor in (positions, cell) if tensor.requires_grad]
            found = iter(
                torch.autograd.grad(
                    value, moved, gradients[0], create_graph=True, materialize_grads=True
                )
            )
            both = [next(found) if tensor.requires_grad else None for tensor in (positions, cell)]
            return *both, None, None, None
        real = {torch.float32: np.float32, torch.float64: np.float64}[positions.dtype]
        dx, dcell = np.zeros(positions.shape, real), np.zeros(cell.shape, real)
        ctx.gradient(gradients[0].detach().contiguous().numpy(), dx, dcell)
        return torch.from_numpy(dx), torch.from_numpy(dcell), None, None, None


def edge_vectors(graph: AtomicGraph, exact: Exact) -> Tensor:
    """`graph.edge_vectors`."""
    result: Tensor = _OfPlaces.apply(graph.positions, graph.cell, graph, _edge_vectors, exact)
    return result


def repulsion(graph: AtomicGraph, law: RepulsionLaw, exact: Exact) -> Tensor:
    """Half of each pair energy at each of its two atoms: [N] eV, float64."""

    def compute(graph: AtomicGraph) -> tuple[Array, Callable[..., Any]]:
        arrays = _arrays(graph)
        energies, *pairs = loops.repulsion(*arrays, *_of_elements(graph, law), law.constants)

        def gradient(g: Array, dx: Array, dcell: Array) -> None:
            loops.repulsion_gradient(*arrays[2:], *pairs, g, dx, dcell)

        return energies, gradient

    result: Tensor = _OfPlaces.apply(graph.positions, graph.cell, graph, compute, exact)
    return result


def _edge_vectors(graph: AtomicGraph) -> tuple[Array, Callable[..., Any]]:
    arrays = _arrays(graph)
    result = np.empty((arrays[3].shape[1], 3), arrays[0].dtype)
    loops.edge_vectors(*arrays, result)

    def gradient(g: Array, dx: Array, dcell: Array) -> None:
        loops.edge_vectors_gradient(*arrays[2:], g, dx, dcell)

    return result, gradient


def _of_elements(graph: AtomicGraph, law: RepulsionLaw) -> tuple[Array, Array, Array]:
    return graph.atomic_numbers.numpy(), law.radii.numpy(), law.powers.numpy()


def _arrays(graph: AtomicGraph) -> tuple[Array, ...]:
    """Positions, cells, structure of each atom, edges, shifts of the edges."""
    tensors = graph.positions, graph.cell, graph.batch, graph.edge_index, graph.edge_shift
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
