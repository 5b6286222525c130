"""Edge vectors and repulsion in compiled loops: values, gradients, derivatives of gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from atomfm_calc.graph import AtomicGraph, collate, edge_vectors
from atomfm_calc.kernels import KERNELS, Kernel
from atomfm_calc.models.repulsion import ZBLRepulsion
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample


def graph(*, crowded: bool) -> AtomicGraph:
    """A skewed crystal, a molecule and a lone atom, some atoms close to each other."""
    rng = np.random.default_rng(3)
    cell = np.array([[3.0, 0.2, 0.0], [0.5, 3.1, 0.1], [0.0, -0.7, 3.4]])
    samples = [
        Sample(
            atomic_numbers=rng.integers(1, 80, n),
            positions=rng.uniform(0, 2.0 if crowded else 9.0, (n, 3)),
            cell=cell if periodic else np.zeros((3, 3)),
            pbc=np.full(3, periodic),
        )
        for n, periodic in ((5, True), (9, False), (1, False))
    ]
    return collate([graph_from_sample(sample, 4.0, torch.float64) for sample in samples])


def vectors_of(kernel: Kernel) -> Callable[[AtomicGraph], Tensor]:
    def compute(graph: AtomicGraph) -> Tensor:
        if kernel.edge_vectors is None:
            return edge_vectors(graph)
        return kernel.edge_vectors(graph, edge_vectors)

    return compute


def repulsion_of(kernel: Kernel) -> Callable[[AtomicGraph], Tensor]:
    return ZBLRepulsion(kernel).to(torch.float64)


@pytest.mark.parametrize("made_by", [vectors_of, repulsion_of], ids=["edge vectors", "repulsion"])
@pytest.mark.parametrize("crowded", [True, False], ids=["close", "apart"])
def test_values_and_gradients_are_those_of_plain_torch(
    made_by: Callable[[Kernel], Callable[[AtomicGraph], Tensor]], crowded: bool
) -> None:
    given = graph(crowded=crowded)
    found = []
    for name in ("reference", "cpu"):
        x, cell = (t.clone().requires_grad_(True) for t in (given.positions, given.cell))
        value = made_by(KERNELS[name])(given._replace(positions=x, cell=cell))
        weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
        first = torch.autograd.grad((weights * value).sum(), (x, cell), materialize_grads=True)
        found.append((value, *first))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("made_by", [vectors_of, repulsion_of], ids=["edge vectors", "repulsion"])
def test_gradients_can_be_differentiated(
    made_by: Callable[[Kernel], Callable[[AtomicGraph], Tensor]],
) -> None:
    given = graph(crowded=True)
    function = made_by(KERNELS["cpu"])

    def of_places(x: Tensor, cell: Tensor) -> Tensor:
        return function(given._replace(positions=x, cell=cell)).pow(2).sum() * 1e-6

    def second(name: str) -> tuple[Tensor, ...]:
        nonlocal function
        function = made_by(KERNELS[name])
        x, cell = (t.clone().requires_grad_(True) for t in (given.positions, given.cell))
        first = torch.autograd.grad(of_places(x, cell), (x, cell), create_graph=True)
        return torch.autograd.grad(sum(g.pow(2).sum() for g in first), (x, cell))

    for one, other in zip(second("reference"), second("cpu"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
