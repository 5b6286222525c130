"""Every kernel gives the values, gradients and second gradients of the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from atomfm_calc.errors import UnknownNameError, lookup
from atomfm_calc.kernels import KERNELS, best_kernel
from tests.made.evaluate import assert_close
from tests.made.kernels import ON_CPU, OTHERS

ROUNDING = {torch.float64: 1e-12, torch.float32: 2e-5}
"""Sums of some ten products of numbers of size 1, in another order."""

Inputs = list[Tensor]
SumMessages = Callable[..., tuple[Tensor, Tensor]]


def _messages(name: str) -> SumMessages:
    """A kernel's messages as a function of states, vectors, filters, directions and edges."""
    kernel = KERNELS[name]

    def sum_messages(states: Tensor, *others: Tensor | None) -> tuple[Tensor, Tensor]:
        *rest, edges = others
        assert edges is not None
        return kernel.messages(states, *rest, kernel.sides(edges, states.shape[0]))

    return sum_messages


def _inputs(dtype: torch.dtype, n_atoms: int = 7, n_edges: int = 23, n_features: int = 5) -> Inputs:
    """States, vectors, filters, directions; atoms 0 and 3 have no neighbors."""
    generator = torch.Generator().manual_seed(n_edges)
    shapes = [
        (n_atoms, 3 * n_features), (n_atoms, 3, n_features), (n_edges, 3 * n_features), (n_edges, 3)
    ]  # fmt: skip
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


@pytest.fixture
def three_threads() -> Iterator[None]:
    """As many threads for torch, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def _edges(n_atoms: int = 7, n_edges: int = 23) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    center = torch.randint(1, n_atoms, (n_edges,), generator=generator).sort().values
    center[center == 3] = 4
    neighbor = torch.randint(0, n_atoms, (n_edges,), generator=generator)
    return torch.stack([center, neighbor])


def _up_to_second_gradient(sum_messages: SumMessages, inputs: Inputs, edges: Tensor) -> Inputs:
    """Values, gradients of a weighted sum of them, gradients of the gradients' squares."""
    inputs = [tensor.clone().requires_grad_(True) for tensor in inputs]
    values = sum_messages(*inputs, edges)
    weights = [torch.linspace(-1, 1, v.numel(), dtype=v.dtype).reshape(v.shape) for v in values]
    total = sum((w * v * v).sum() for w, v in zip(weights, values, strict=True))
    first = torch.autograd.grad(total, inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [*values, *first, *second]


@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", OTHERS)
def test_a_kernel_equals_the_reference_to_second_derivatives(name: str, dtype: torch.dtype) -> None:
    inputs = _inputs(dtype)
    expected = _up_to_second_gradient(_messages("reference"), inputs, _edges())
    actual = _up_to_second_gradient(_messages(name), inputs, _edges())
    for found, wanted in zip(actual, expected, strict=True):
        assert found.dtype == dtype
        assert_close(found, wanted, ROUNDING[dtype] * max(1.0, wanted.abs().max().item()))


def _third_gradient(name: str) -> tuple[Tensor, ...]:
    """Of a sum of cubes, by states and vectors; the states were made from the vectors."""
    states, vectors, filters, directions = _inputs(torch.float64)
    given = [states.requires_grad_(True), vectors.requires_grad_(True)]
    mixed = states + vectors.flatten(1).sin()
    values = _messages(name)(mixed, vectors, filters, directions, _edges())
    total = sum(value.pow(3).sum() for value in values)
    for _ in range(2):
        gradients = torch.autograd.grad(total, given, create_graph=True)
        total = sum(gradient.square().sum() for gradient in gradients)
    return torch.autograd.grad(total, given)


@pytest.mark.parametrize("name", OTHERS)
def test_third_derivatives_are_those_of_the_reference(name: str) -> None:
    for found, wanted in zip(_third_gradient(name), _third_gradient("reference"), strict=True):
        assert_close(found, wanted, 1e-12 * wanted.abs().max().item())


@pytest.mark.parametrize("name", OTHERS)
def test_a_kernel_gives_the_same_bits_with_any_number_of_threads(
    name: str, three_threads: None
) -> None:
    inputs, edges = _inputs(torch.float64, 40, 2500), _edges(40, 2500)
    many = _up_to_second_gradient(_messages(name), inputs, edges)
    torch.set_num_threads(1)
    one = _up_to_second_gradient(_messages(name), inputs, edges)
    assert all(map(torch.equal, one, many))


@pytest.mark.parametrize("name", ON_CPU)
def test_a_kernel_leaves_the_number_of_threads_as_it_was(name: str) -> None:
    before = torch.get_num_threads()
    _up_to_second_gradient(_messages(name), _inputs(torch.float64, 40, 2500), _edges(40, 2500))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ON_CPU)
def test_gradients_of_a_kernel_are_numerical_gradients(name: str) -> None:
    inputs = [tensor.requires_grad_(True) for tensor in _inputs(torch.float64)]
    edges = _edges()
    assert torch.autograd.gradcheck(lambda *tensors: _messages(name)(*tensors, edges), inputs)


@pytest.mark.parametrize("name", ON_CPU)
def test_second_gradients_of_a_kernel_are_numerical_gradients(name: str) -> None:
    inputs = [t[:, ..., :3].clone() for t in _inputs(torch.float64, n_features=1)]
    edges = _edges()
    inputs = [tensor.requires_grad_(True) for tensor in inputs]
    assert torch.autograd.gradgradcheck(lambda *tensors: _messages(name)(*tensors, edges), inputs)


@pytest.mark.parametrize("name", ON_CPU)
def test_vectors_that_are_none_count_as_zeros(name: str) -> None:
    states, vectors, filters, directions = _inputs(torch.float64)
    sum_messages, edges = _messages(name), _edges()
    with_none = sum_messages(states, None, filters, directions, edges)
    with_zeros = sum_messages(states, torch.zeros_like(vectors), filters, directions, edges)
    for found, wanted in zip(with_none, with_zeros, strict=True):
        assert_close(found, wanted, 1e-13)


@pytest.mark.parametrize("name", ON_CPU)
def test_no_edges_give_zeros_with_gradients(name: str) -> None:
    states, vectors, filters, directions = _inputs(torch.float64, n_edges=0)
    states.requires_grad_(True)
    scalars, changes = _messages(name)(
        states, vectors, filters, directions, torch.zeros((2, 0), dtype=torch.int64)
    )
    assert scalars.shape == (7, 5)
    assert changes.shape == (7, 3, 5)
    (gradient,) = torch.autograd.grad(scalars.sum() + changes.sum(), states)
    assert not any(tensor.any() for tensor in (scalars, changes, gradient))


@pytest.mark.parametrize("name", ON_CPU)
def test_atoms_without_neighbors_hear_nothing(name: str) -> None:
    scalars, changes = _messages(name)(*_inputs(torch.float64), _edges())
    assert not scalars[[0, 3]].any()
    assert not changes[[0, 3]].any()


@pytest.mark.parametrize("name", ON_CPU)
def test_not_contiguous_inputs_are_read_correctly(name: str) -> None:
    inputs = _inputs(torch.float64)
    turned = [t.transpose(0, -1).contiguous().transpose(0, -1) for t in inputs]
    sum_messages, edges = _messages(name), _edges()
    for found, wanted in zip(
        sum_messages(*turned, edges), sum_messages(*inputs, edges), strict=True
    ):
        assert_close(found, wanted, 1e-13)


def test_the_best_kernel_of_every_device_exists() -> None:
    assert {best_kernel(device) for device in ("cpu", "cuda", "mps")} <= set(KERNELS)


def test_an_unknown_kernel_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="no kernel 'cuda12'; atomfm has: reference"):
        lookup(KERNELS, "cuda12", "kernel")
