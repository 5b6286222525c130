"""Heads in compiled loops give what they give in plain torch, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.architecture import EnergyHeadConfig
from atomfm_calc.models.heads import EnergyHead
from atomfm_calc.models.stacked_heads import StackedHeads, stack

N_FEATURES = 10
TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-5}


def stacked(hidden: tuple[int, ...], n_heads: int, real: torch.dtype) -> StackedHeads:
    torch.manual_seed(1)
    heads = [EnergyHead(N_FEATURES, EnergyHeadConfig(hidden=hidden)) for _ in range(n_heads)]
    return stack([head.to(real).requires_grad_(False) for head in heads], KERNELS["cpu"])


def both_ways(
    heads: StackedHeads, features: Tensor, weights: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Values and gradients, by the kernel and in plain torch."""
    found = []
    for compute in (lambda x: heads.kernel.heads(x, heads.prepared, heads._raw), heads._raw):
        given = features.clone().requires_grad_(True)
        value = compute(given)
        found.append([value, *torch.autograd.grad((weights * value).sum(), given)])
    return found[0], found[1]


@pytest.mark.parametrize("real", TOLERANCE)
@pytest.mark.parametrize("hidden", [(), (7,), (64,), (20, 33, 5)], ids=str)
@pytest.mark.parametrize(("n_heads", "n_atoms"), [(1, 1), (3, 0), (3, 7), (2, 130)])
@pytest.mark.parametrize("apart", [False, True], ids=["shared", "own features"])
def test_values_and_gradients_are_those_of_plain_torch(
    real: torch.dtype, hidden: tuple[int, ...], n_heads: int, n_atoms: int, apart: bool
) -> None:
    heads = stacked(hidden, n_heads, real)
    shape = (n_heads, n_atoms, N_FEATURES) if apart else (n_atoms, N_FEATURES)
    features, weights = torch.randn(shape, dtype=real), torch.randn(n_heads, n_atoms, dtype=real)
    for one, other in zip(*both_ways(heads, features, weights), strict=True):
        torch.testing.assert_close(one, other, atol=TOLERANCE[real], rtol=TOLERANCE[real])


def test_one_copy_of_the_features_for_each_head_has_a_gradient_for_each() -> None:
    heads = stacked((6,), 3, torch.float64)
    same = torch.randn(5, N_FEATURES, dtype=torch.float64).expand(3, -1, -1)
    own = same.detach().requires_grad_(True)
    assert own.stride(0) == 0
    (found,) = torch.autograd.grad(heads.kernel.heads(own, heads.prepared, heads._raw).sum(), own)
    for head in range(3):
        one = same[head].clone().requires_grad_(True)
        (wanted,) = torch.autograd.grad(heads._raw(one)[head].sum(), one)
        torch.testing.assert_close(found[head], wanted)


def test_the_gradient_can_be_differentiated() -> None:
    heads = stacked((6, 4), 2, torch.float64)
    features = torch.randn(3, N_FEATURES, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda x: heads.kernel.heads(x, heads.prepared, heads._raw), (features,)
    )


@pytest.mark.parametrize("n_threads", [1, 2])
def test_energies_alone_keep_nothing(n_threads: int) -> None:
    heads = stacked((64, 64), 2, torch.float32)
    features = torch.randn(500, N_FEATURES)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with torch.no_grad():
            found = heads.kernel.heads(features, heads.prepared, heads._raw)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found, heads._raw(features), atol=1e-5, rtol=1e-5)
