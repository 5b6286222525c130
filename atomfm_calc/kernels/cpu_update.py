"""PaiNN's update block on the CPU for frozen weights: matrix products, and one pass for the rest.

Plain torch writes and rereads some twenty arrays [N, 3, F] beside the matrix products, and keeps
most of them for the gradient. Where derivatives of the gradient are asked for, they are plain
torch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from atomfm_calc.kernels import UpdateFunction, UpdateWeights
from atomfm_calc.kernels import cpu_update_loops as loops
from atomfm_calc.kernels.cpu import as_arrays
from atomfm_calc.kernels.cpu_threads import over_atoms


class _Update(torch.autograd.Function):
    """Changes of scalars and vectors; differentiable as often as `plain` is."""

    @staticmethod
    def forward(
        ctx: Any, scalars: Tensor, vectors: Tensor, weights: UpdateWeights, plain: UpdateFunction
    ) -> tuple[Tensor, Tensor]:
        n_atoms, n_features = scalars.shape
        mixed = vectors.reshape(3 * n_atoms, n_features) @ weights.mix.T  # [3N, 2F]
        length, dot = torch.empty_like(scalars), torch.empty_like(scalars)
        M = _four(mixed)
        over_atoms(loops.contract, n_atoms, M, weights.offset, *as_arrays(length, dot))
        hidden = torch.addmm(weights.hidden_bias, scalars, weights.hidden[:, :n_features].T)
        hidden.addmm_(length, weights.hidden[:, n_features:].T)  # [N, F]
        gates = torch.addmm(weights.gates_bias, torch.nn.functional.silu(hidden), weights.gates.T)
        ctx.save_for_backward(scalars, vectors, mixed, length, dot, hidden, gates)
        ctx.weights, ctx.plain = weights, plain
        results = torch.empty_like(scalars), torch.empty_like(vectors)
        over_atoms(loops.gate, n_atoms, M, _three(gates), *as_arrays(dot, *results))
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scalars, vectors, mixed, length, dot, hidden, gates = ctx.saved_tensors
        # the engine switches this on if and only if the gradient will be differentiated in turn
        if torch.is_grad_enabled():
            return (*_differentiable_gradient(ctx, *gradients), None, None)
        weights, (n_atoms, n_features) = ctx.weights, scalars.shape
        M, upstream = _four(mixed), as_arrays(*gradients)
        of_gates, of_mixed = torch.empty_like(gates), torch.empty_like(mixed)
        over_atoms(loops.gate_gradient, n_atoms, M, *as_arrays(dot), *upstream, _three(of_gates))
        of_hidden = torch.ops.aten.silu_backward(of_gates @ weights.gates, hidden)
        of_both = of_hidden @ weights.hidden  # [N, 2F]: scalars and lengths
        of_length = of_both[:, n_features:]
        over_atoms(
            loops.contract_gradient,
            n_atoms,
            *(
                M,
                _three(gates),
                *as_arrays(length),
                *upstream,
                *as_arrays(of_length),
                _four(of_mixed),
            ),
        )
        of_vectors = (of_mixed @ weights.mix).reshape(vectors.shape)
        return of_both[:, :n_features], of_vectors, None, None


def update(
    scalars: Tensor, vectors: Tensor, weights: UpdateWeights, plain: UpdateFunction
) -> tuple[Tensor, Tensor]:
    """What `plain` gives for scalars [N, F] and vectors [N, 3, F], faster.

    Args:
        scalars: [N, F].
        vectors: [N, 3, F].
        weights: those of `plain`, frozen.
        plain: the block in plain torch, for derivatives of the gradient.
    """
    result: tuple[Tensor, Tensor] = _Update.apply(scalars, vectors, weights, plain)
    return result


def _differentiable_gradient(ctx: Any, *gradients: Tensor) -> list[Tensor | None]:
    inputs = ctx.saved_tensors[:2]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    results = ctx.plain(*inputs)
    found = iter(torch.autograd.grad(results, wanted, gradients, create_graph=True))
    return [next(found) if tensor.requires_grad else None for tensor in inputs]


def _four(mixed: Tensor) -> Any:
    """[3N, 2F] -> array [N, 3, 2, F]."""
    return as_arrays(mixed)[0].reshape(len(mixed) // 3, 3, 2, mixed.shape[1] // 2)


def _three(gates: Tensor) -> Any:
    """[N, 3F] -> array [N, 3, F]."""
    return as_arrays(gates)[0].reshape(len(gates), 3, gates.shape[1] // 3)
