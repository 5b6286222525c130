"""All heads of a frozen model on the CPU, from given features, and their gradient by these.

A head is a perceptron with SiLU between its layers and one number at its end. In plain torch
several heads are a batched product for each layer, whose results go to memory and come back for
the activation; here some atoms at a time go through all layers of a head while they are in cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.kernels import cpu_heads_loops as loops
from atomfm_calc.kernels.cpu_memory import Memory
from atomfm_calc.kernels.cpu_products import bits_like, packed
from atomfm_calc.kernels.cpu_threads import over_atoms

Array = NDArray[Any]
Exact = Callable[[Tensor], Tensor]
"""What `heads` gives, in plain torch"""


class PreparedHeads(NamedTuple):
    """The weights of H heads of equal widths, as the loops want them."""

    widths: Array
    """Of the features and of each hidden layer [L + 1]"""
    matrices: Array
    """`packed` weights of the hidden layers, head by head and layer by layer, in a row"""
    turned: Array
    """The same with inputs and outputs exchanged"""
    biases: Array
    """[H, L, widest layer]"""
    last: Array
    """[H, width of the last hidden layer]"""
    last_bias: Array
    """[H]"""
    places: Array
    """Where a matrix begins in `matrices` and in `turned` [H, L, 2]"""


def prepare(weights: Sequence[Tensor], biases: Sequence[Tensor]) -> PreparedHeads:
    """Copies of the weights, arranged as products want them.

    Args:
        weights: by layer, [H, width before, width after]; the last has width 1 behind it.
        biases: by layer, [H, 1, width after].
    """
    layers = [weight.detach().numpy() for weight in weights]
    n_heads, n_hidden = len(layers[0]), len(layers) - 1
    widths = np.array([layer.shape[1] for layer in layers], np.int64)
    real = layers[0].dtype
    rows = np.zeros((n_heads, n_hidden, max(widths)), real)
    for number, bias in enumerate(biases[:-1]):
        rows[:, number, : bias.shape[2]] = bias.detach().numpy()[:, 0]
    forward, back = (
        [packed(kind(layer[head])) for head in range(n_heads) for layer in layers[:-1]]
        for kind in (np.asarray, np.transpose)
    )
    begins = [np.cumsum([0, *(matrix.size for matrix in kind)])[:-1] for kind in (forward, back)]
    return PreparedHeads(
        widths=widths,
        matrices=_in_a_row(forward, real),
        turned=_in_a_row(back, real),
        biases=rows,
        last=np.ascontiguousarray(layers[-1][:, :, 0]),
        last_bias=biases[-1].detach().numpy()[:, 0, 0].copy(),
        places=np.stack(begins, axis=1).astype(np.int64).reshape(n_heads, n_hidden, 2),
    )


def _in_a_row(matrices: Sequence[Array], real: np.dtype[Any]) -> Array:
    return np.concatenate([np.empty(0, real), *(matrix.ravel() for matrix in matrices)])


class _Heads(torch.autograd.Function):
    """Numbers of H heads [H, N] from features [N, F] or [H, N, F]."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, prepared: PreparedHeads, exact: Exact) -> Tensor:
        ctx.save_for_backward(features)
        keep = ctx.needs_input_grad[0]
        X = _apart(features.detach())
        n_heads, n_atoms = len(prepared.last), X.shape[1]
        n_kept = n_heads * n_atoms * int(prepared.widths[1:].sum()) if keep else 0
        memory = Memory(X.dtype, [(n_kept,)])
        (hidden,) = memory.arrays
        result = np.empty((n_heads, n_atoms), X.dtype)
        over_atoms(loops.heads, n_atoms, _work(prepared), X, prepared, hidden, result, bits_like(X))
        if keep:
            ctx.prepared, ctx.exact, ctx.hidden, ctx.memory = prepared, exact, hidden, memory
        return torch.from_numpy(result)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (features,) = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will be differentiated in turn
            values = ctx.exact(features)
            (exact,) = torch.autograd.grad(values, features, gradients[0], create_graph=True)
            return exact, None, None
        G = gradients[0].detach().contiguous().numpy()
        n_apart = features.shape[0] if features.dim() == 3 else 1
        result = np.empty((n_apart, *features.shape[-2:]), G.dtype)
        arrays = G, ctx.prepared, ctx.hidden, result, bits_like(G)
        over_atoms(loops.heads_gradient, G.shape[1], _work(ctx.prepared), *arrays)
        return torch.from_numpy(result).reshape(features.shape), None, None


def _apart(features: Tensor) -> Array:
    """Features of each head [H, N, F], or one of all [1, N, F]."""
    if features.dim() == 2:
        features = features[None]
    elif features.stride(0) == 0:  # H times the same in memory
        features = features[:1]
    array: Array = features.contiguous().numpy()
    return array


def _work(prepared: PreparedHeads) -> int:
    """Products for each atom."""
    return int(prepared.matrices.size + prepared.last.size)


def heads(features: Tensor, prepared: PreparedHeads, exact: Exact) -> Tensor:
    """What `exact` gives, faster: the number of each head for each atom [H, N].

    Args:
        features: [N, F] for all heads, or [H, N, F], each head its own.
        prepared: from `prepare`, of frozen heads.
        exact: the same in plain torch, for derivatives of the gradient.
    """
    result: Tensor = _Heads.apply(features, prepared, exact)
    return result
