"""The "cuda" kernel gives what the reference gives, in Triton's interpreter.

Not collected with the others: `tests/atomfm_calc/kernels/test_cuda.py` starts it in a process of
its own with the interpreter switched on, which takes milliseconds for each program: all is tiny.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from atomfm_calc.kernels import KERNELS
from atomfm_calc.kernels.tables import tabulate
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
from atomfm_calc.models.derivatives import hessian, predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.radial import weighted_basis
from tests.made.evaluate import HEAD, assert_close, graph_of
from tests.made.structures import STRUCTURES

ROUNDING = {torch.float64: 1e-12, torch.float32: 2e-5}
"""Sums of some ten products of numbers of size 1, in another order."""
EXACT = {torch.float64: 1e-8, torch.float32: 1e-5}
"""eV, eV/Å, eV/Å³ that any kernel may differ; phonons need the first."""
RAGGED = ("water", "skewed cell", "lone atom", "chain", "slab")
"""Molecule, crystal, no edges, periodic in one and in two directions."""
EDGES = torch.tensor([[1, 1, 1, 2, 3, 3], [0, 2, 1, 1, 2, 1]])
"""Of five atoms; the first has no neighbors, the last is nobody's neighbor."""

Inputs = list[Tensor]


def _inputs(dtype: torch.dtype, n_features: int) -> Inputs:
    """States, vectors, filters, directions; in an order of memory that is not the usual one."""
    generator = torch.Generator().manual_seed(n_features)
    shapes = [(5, 3 * n_features), (5, 3, n_features), (6, 3 * n_features), (6, 3)]
    tensors = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    return [t.transpose(0, -1).contiguous().transpose(0, -1) for t in tensors]


def _up_to_second_gradient(name: str, inputs: Inputs) -> Inputs:
    kernel, inputs = KERNELS[name], [tensor.clone().requires_grad_(True) for tensor in inputs]
    values = kernel.messages(*inputs, kernel.sides(EDGES, 5))
    total = sum((v * v * torch.linspace(-1, 1, v.shape[-1])).sum() for v in values)
    first = torch.autograd.grad(total, inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [*values, *first, *second]


@pytest.mark.parametrize("n_features", [5, 130], ids=["part of a block", "two blocks"])
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
def test_the_kernel_equals_the_reference_to_second_derivatives(
    dtype: torch.dtype, n_features: int
) -> None:
    inputs = _inputs(dtype, n_features)
    expected = _up_to_second_gradient("reference", inputs)
    for found, wanted in zip(_up_to_second_gradient("cuda", inputs), expected, strict=True):
        assert found.dtype == dtype
        assert_close(found, wanted, ROUNDING[dtype] * max(1.0, wanted.abs().max().item()))


def test_third_derivatives_are_those_of_the_reference() -> None:
    results = []
    for name in ("cuda", "reference"):
        kernel = KERNELS[name]
        states, vectors, filters, directions = _inputs(torch.float64, 2)
        given = [states.requires_grad_(True), vectors.requires_grad_(True)]
        # states that were made from vectors, as in a network, and filters that are constants
        inputs = [states + vectors.flatten(1).sin(), vectors, filters, directions]
        total = sum(v.pow(3).sum() for v in kernel.messages(*inputs, kernel.sides(EDGES, 5)))
        for _ in range(2):
            gradients = torch.autograd.grad(total, given, create_graph=True)
            total = sum(gradient.square().sum() for gradient in gradients)
        results.append(torch.autograd.grad(total, given))
    for found, wanted in zip(*results, strict=True):
        assert_close(found, wanted, 1e-12 * wanted.abs().max().item())


def test_no_edges_and_no_vectors_give_zeros() -> None:
    kernel = KERNELS["cuda"]
    states, _, filters, directions = _inputs(torch.float64, 5)
    sides = kernel.sides(EDGES[:, :0], 5)
    states.requires_grad_(True)
    results = kernel.messages(states, None, filters[:0], directions[:0], sides)
    (gradient,) = torch.autograd.grad(results[0].sum() + results[1].sum(), states)
    assert [tuple(result.shape) for result in results] == [(5, 5), (5, 3, 5)]
    assert not any(tensor.any() for tensor in (*results, gradient))


@pytest.mark.parametrize("n_features", [4, 130], ids=["one block", "two blocks"])
@pytest.mark.parametrize("has_vectors", [False, True])
def test_tables_are_read_as_the_cpu_reads_them(has_vectors: bool, n_features: int) -> None:
    states, vectors, _, directions = _inputs(torch.float64, n_features)
    weight = torch.sin(torch.arange(3.0 * n_features * 7)).reshape(-1, 7).to(torch.float64)
    filters = partial(_filters, weight=weight)
    table = tabulate(filters, cutoff=5.0, n_radial=6, dtype=torch.float64, exact=filters)
    # near zero, in between, at a node, at and beyond the cutoff
    distances = torch.tensor([1e-3, 1.7, table.origin + 9 * table.step, 5.0, 1e9, 4.9999])
    found, wanted = [], []
    for name, results in (("cuda", found), ("cpu", wanted)):
        kernel = KERNELS[name]
        inputs = [states, vectors if has_vectors else None, distances.double(), directions]
        inputs = [None if t is None else t.clone().requires_grad_(True) for t in inputs]
        values = kernel.tabulated_messages(*inputs, table, kernel.sides(EDGES, 5))
        total = values[0].square().sum() + values[1].square().sum()
        results += [*values, *torch.autograd.grad(total, [t for t in inputs if t is not None])]
    for actual, expected in zip(found, wanted, strict=True):
        assert_close(actual, expected, 1e-11 * max(1.0, expected.abs().max().item()))


def test_a_distance_that_is_no_number_gives_no_number() -> None:
    states, _, _, directions = _inputs(torch.float64, 2)
    filters = partial(_filters, weight=torch.ones((6, 7), dtype=torch.float64))
    table = tabulate(filters, cutoff=5.0, n_radial=6, dtype=torch.float64, exact=filters)
    distances = torch.tensor([1.0, 1.0, 1.0, torch.nan, 1.0, 1.0], dtype=torch.float64)
    kernel = KERNELS["cuda"]
    sums, _ = kernel.tabulated_messages(
        states, None, distances, directions, table, kernel.sides(EDGES, 5)
    )
    assert sums[2].isnan().all()
    assert sums[[0, 1, 3, 4]].isfinite().all()


def _filters(distances: Tensor, weight: Tensor) -> Tensor:
    return weighted_basis(distances, 6, 5.0) @ weight.T


def _model(kernel: str, dtype: torch.dtype = torch.float64) -> FoundationModel:
    """Filters as large as trained ones, so that forces are those of the network."""
    architecture = Architecture(
        painn=PainnConfig(n_features=6, n_layers=2, n_radial=8, cutoff=3.0),
        head=EnergyHeadConfig(hidden=(6,)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = FoundationModel(architecture, [HEAD], kernel)
    for block in model.backbone.message_blocks:
        block.radial_filter.weight.data *= 5.0
    return model.to(dtype).requires_grad_(False)


@pytest.mark.parametrize("dtype", EXACT, ids=str)
def test_energy_forces_and_stress_of_a_ragged_batch(dtype: torch.dtype) -> None:
    results = []
    for kernel in ("cuda", "reference"):
        model = _model(kernel, dtype)
        graph = graph_of(model, *(STRUCTURES[name] for name in RAGGED))
        results.append(predict(model.energy_of(HEAD), graph, ("energy", "forces", "stress")))
    found, wanted = results
    scale = max(1.0, wanted.forces.abs().max().item())
    for name in ("energy", "atom_energies", "forces", "stress"):
        torch.testing.assert_close(
            getattr(found, name), getattr(wanted, name),
            atol=EXACT[dtype] * scale, rtol=0.0, equal_nan=True,
        )  # fmt: skip


def test_training_on_forces_has_the_gradients_of_the_reference() -> None:
    gradients = []
    for kernel in ("cuda", "reference"):
        model = _model(kernel).requires_grad_(True)
        graph = graph_of(model, *(STRUCTURES[name] for name in RAGGED[:4]))
        result = predict(model.energy_of(HEAD), graph, ("energy", "forces"), differentiable=True)
        loss = result.forces.square().sum() + result.energy.square().sum()
        parameters = list(model.parameters())
        gradients.append(torch.autograd.grad(loss, parameters, materialize_grads=True))
    for found, wanted in zip(*gradients, strict=True):
        assert_close(found, wanted, 1e-8 * max(1.0, wanted.abs().max().item()))


def test_second_derivatives_of_a_frozen_model_are_those_of_the_reference() -> None:
    matrices = []
    for kernel in ("cuda", "reference"):
        model = _model(kernel)
        matrices.append(hessian(model.energy_of(HEAD), graph_of(model, STRUCTURES["hydroxide"])))
    assert_close(*matrices, 1e-8 * max(1.0, matrices[1].abs().max().item()))
