"""The fused update block gives what plain torch gives, and leaves training to it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.painn import Update
from atomfm_calc.models.precision import set_dense_dtype

FUSED = [name for name, kernel in KERNELS.items() if kernel.update is not None]
ROUNDING = {torch.float64: 1e-13, torch.float32: 5e-6}
"""Sums of some ten products of numbers of size 1, in another order."""
N_ATOMS, N_FEATURES = 230, 6


def _block(kernel: str, dtype: torch.dtype = torch.float64) -> Update:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return Update(N_FEATURES, 1e-8, KERNELS[kernel]).to(dtype).requires_grad_(False)


def _features(dtype: torch.dtype = torch.float64, n_atoms: int = N_ATOMS) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n_atoms)
    shapes = [(n_atoms, N_FEATURES), (n_atoms, 3, N_FEATURES)]
    tensors = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    return [tensor.requires_grad_(True) for tensor in tensors]


def _up_to_second_gradient(block: Update, inputs: list[Tensor]) -> list[Tensor]:
    values = block(*inputs)
    total = sum(value.square().sum() for value in values)
    plain = torch.autograd.grad(total, inputs, retain_graph=True)
    first = torch.autograd.grad(total, inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [*values, *plain, *first, *second]


@pytest.mark.parametrize("n_atoms", [N_ATOMS, 1, 0])
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", FUSED)
def test_the_fused_block_equals_the_plain_one_to_second_derivatives(
    name: str, dtype: torch.dtype, n_atoms: int
) -> None:
    found, wanted = (
        _up_to_second_gradient(_block(kernel, dtype), _features(dtype, n_atoms))
        for kernel in (name, "reference")
    )
    for actual, expected in zip(found, wanted, strict=True):
        scale = max([1.0, *expected.abs().flatten().tolist()])
        torch.testing.assert_close(actual, expected, atol=ROUNDING[dtype] * scale, rtol=0.0)


@pytest.mark.parametrize("name", FUSED)
def test_only_one_of_two_results_may_be_used(name: str) -> None:
    gradients = []
    for kernel in (name, "reference"):
        inputs = _features()
        scalars, _ = _block(kernel)(*inputs)
        gradients.append(torch.autograd.grad(scalars.sum(), inputs))
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0.0)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("why", ["a trained weight", "bfloat16"])
def test_plain_torch_is_used_where_the_fused_block_would_be_wrong(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, called = _block(name), []
    plain = block.plain
    monkeypatch.setattr(block, "plain", lambda *inputs: (called.append(why), plain(*inputs))[1])
    block(*_features())
    assert not called
    if why == "bfloat16":
        set_dense_dtype(block, torch.bfloat16)
    else:
        block.mix.weight.requires_grad_(True)
    block(*_features())
    assert called
