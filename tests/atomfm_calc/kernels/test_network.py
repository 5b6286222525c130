"""All layers in a row give what they give one by one, and leave training to them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.architecture import PainnConfig
from atomfm_calc.models.painn import Painn
from atomfm_calc.models.precision import set_dense_dtype
from atomfm_calc.neighbors import graph_from_sample
from tests.made.structures import STRUCTURES

FUSED = [name for name, kernel in KERNELS.items() if kernel.network is not None]
SIZES = [(8, 3), (6, 1), (13, 2)]
"""Features, of which three and four at a time are computed together, and layers."""
ROUNDING = {torch.float64: 1e-10, torch.float32: 3e-5}
"""Relative to the largest number; the filters come from a table."""


def _batch() -> AtomicGraph:
    """Molecules, crystals and lone atoms."""
    return collate([graph_from_sample(sample, 4.0) for sample in STRUCTURES.values()])


def _painn(kernel: str, size: tuple[int, int], dtype: torch.dtype = torch.float64) -> Painn:
    n_features, n_layers = size
    config = PainnConfig(n_features=n_features, n_layers=n_layers, n_radial=5, cutoff=4.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return Painn(config, KERNELS[kernel]).to(dtype).requires_grad_(False)


def _up_to_gradient(painn: Painn, graph: AtomicGraph) -> list[Tensor]:
    moved = graph._replace(positions=graph.positions.clone().requires_grad_(True))
    features = painn(moved)
    total = features.scalars.square().sum() + features.vectors.pow(3).sum()
    return [*features[:2], *torch.autograd.grad(total, [moved.positions])]


def _assert_close(found: list[Tensor], wanted: list[Tensor], rounding: float) -> None:
    for actual, expected in zip(found, wanted, strict=True):
        scale = max([1.0, *expected.abs().flatten().tolist()])
        torch.testing.assert_close(actual, expected, atol=rounding * scale, rtol=0.0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ROUNDING, ids=str)
@pytest.mark.parametrize("name", FUSED)
def test_layers_in_a_row_equal_single_ones(
    name: str, dtype: torch.dtype, size: tuple[int, int]
) -> None:
    graph = _batch().to("cpu", dtype)
    found, wanted = (
        _up_to_gradient(_painn(kernel, size, dtype), graph) for kernel in (name, "reference")
    )
    _assert_close(found, wanted, ROUNDING[dtype])


@pytest.mark.parametrize("name", FUSED)
def test_second_derivatives_are_those_of_single_layers(name: str) -> None:
    curvatures = []
    for kernel in (name, "reference"):
        painn, graph = _painn(kernel, (8, 2)), _batch()
        positions = graph.positions.clone().requires_grad_(True)
        scalars = painn(graph._replace(positions=positions)).scalars
        (slope,) = torch.autograd.grad(scalars.sum(), positions, create_graph=True)
        curvatures += [slope.detach(), *torch.autograd.grad(slope.square().sum(), positions)]
    _assert_close(curvatures[:2], curvatures[2:], 1e-9)


@pytest.mark.parametrize("name", FUSED)
def test_a_result_can_be_differentiated_several_times(name: str) -> None:
    painn, graph = _painn(name, (8, 2)), _batch()
    positions = graph.positions.clone().requires_grad_(True)
    scalars = painn(graph._replace(positions=positions)).scalars.sum()
    first, second = (
        torch.autograd.grad(scalars, positions, retain_graph=True)[0] for _ in range(2)
    )
    torch.testing.assert_close(first, second, atol=0.0, rtol=0.0)


@pytest.mark.parametrize("name", FUSED)
def test_weights_written_to_are_noticed(name: str) -> None:
    painn, graph = _painn(name, (8, 2)), _batch()
    before = painn(graph).scalars
    with torch.no_grad():
        painn.update_blocks[0].mix.weight.mul_(1.5)
    after = painn(graph).scalars
    fresh = _painn("reference", (8, 2))
    fresh.load_state_dict(painn.state_dict())
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, fresh(graph).scalars, atol=1e-10, rtol=0.0)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.parametrize("why", ["a trained weight", "bfloat16", "recompute", "a trained element"])
def test_layers_go_one_by_one_where_a_row_would_be_wrong(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    painn, graph, called = _painn(name, (8, 2)), _batch(), []
    single = painn._layers

    def watched(*inputs: Any, **options: Any) -> tuple[Tensor, Tensor]:
        called.append(why)
        return single(*inputs, **options)

    monkeypatch.setattr(painn, "_layers", watched)
    painn(graph)
    assert not called
    if why == "bfloat16":
        set_dense_dtype(painn, torch.bfloat16)
    elif why == "recompute":
        painn.recompute = True
    elif why == "a trained weight":
        painn.update_blocks[1].mix.weight.requires_grad_(True)
    else:
        painn.embedding.weight.requires_grad_(True)
    painn(graph)
    assert called


def test_the_batch_has_lone_atoms_and_periodic_images() -> None:
    graph = _batch()
    assert len(set(graph.edge_index[0].tolist())) < len(graph.atomic_numbers)
    assert graph.edge_shift.any()
