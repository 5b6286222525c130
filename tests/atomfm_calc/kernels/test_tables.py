"""Tables of radial filters: their error, their ends, and when they are made anew."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from atomfm_calc.kernels import KERNELS
from atomfm_calc.kernels.tables import FilterTable, error_bounds, tabulate
from atomfm_calc.models.painn import Message
from atomfm_calc.models.radial import weighted_basis
from tests.made.kernels import ON_CPU

CUTOFF, N_RADIAL, N_FEATURES = 5.0, 20, 8
DTYPES = (torch.float32, torch.float64)
TABLE_KERNELS = [name for name in ON_CPU if KERNELS[name].reads_tables]


def _filters(distances: Tensor, weight: Tensor) -> Tensor:
    return weighted_basis(distances, N_RADIAL, CUTOFF) @ weight.T.to(distances.dtype)


def _weight() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn((3 * N_FEATURES, N_RADIAL + 1), generator=generator, dtype=torch.float64)


def _table(weight: Tensor, dtype: torch.dtype) -> FilterTable:
    filters = partial(_filters, weight=weight)
    return tabulate(filters, cutoff=CUTOFF, n_radial=N_RADIAL, dtype=dtype, exact=filters)


def _read(name: str, table: FilterTable, distances: Tensor) -> tuple[Tensor, Tensor]:
    """Filters of the scalars [E, F] at some distances, as a kernel reads them, and their slopes."""
    kernel, n_edges, dtype = KERNELS[name], len(distances), distances.dtype
    center = torch.arange(n_edges)
    sides = kernel.sides(torch.stack([center, n_edges * torch.ones_like(center)]), n_edges + 1)
    states = torch.ones((n_edges + 1, 3 * N_FEATURES), dtype=dtype)
    directions = torch.zeros((n_edges, 3), dtype=dtype)
    distances = distances.clone().requires_grad_(True)
    values, _ = kernel.tabulated_messages(states, None, distances, directions, table, sides)
    columns = [
        torch.autograd.grad(values[:, f].sum(), distances, retain_graph=True)[0]
        for f in range(N_FEATURES)
    ]
    return values[:-1].detach(), torch.stack(columns, dim=1)


def _exact(weight: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
    distances = distances.to(torch.float64).requires_grad_(True)
    values = _filters(distances, weight)[:, :N_FEATURES]
    columns = [
        torch.autograd.grad(values[:, f].sum(), distances, retain_graph=True)[0]
        for f in range(N_FEATURES)
    ]
    return values.detach(), torch.stack(columns, dim=1)


@pytest.mark.parametrize("only_steepest", [True, False], ids=["steepest", "random"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", TABLE_KERNELS)
def test_a_table_is_as_exact_as_its_bound_says(
    name: str, dtype: torch.dtype, only_steepest: bool
) -> None:
    weight = _weight()
    if only_steepest:
        weight[:, : N_RADIAL - 1] = 0.0
    distances = torch.linspace(2e-3, CUTOFF, 4001, dtype=dtype)
    table = _table(weight, dtype)
    bounds = error_bounds(weight[:, :-1], weight[:, -1], CUTOFF, dtype)
    (values, slopes), (filters, gradients) = (
        _read(name, table, distances), _exact(weight, distances)
    )  # fmt: skip
    # six products and their sum; a slope is a difference of two rounded values over a step
    rounding = 8.0 * torch.finfo(dtype).eps * filters.abs().max()
    assert ((values - filters).abs().amax(dim=0) <= bounds[0][:N_FEATURES] + rounding).all()
    rounding = rounding / table.step + 8.0 * torch.finfo(dtype).eps * gradients.abs().max()
    assert ((slopes - gradients).abs().amax(dim=0) <= bounds[1][:N_FEATURES] + rounding).all()


@pytest.mark.parametrize(("dtype", "largest"), [(torch.float32, 1e-6), (torch.float64, 1e-9)])
def test_the_bound_is_small_beside_the_filters(dtype: torch.dtype, largest: float) -> None:
    # random weights: each basis function adds to the bound, while the filters are root mean squares
    weight = _weight()
    _, slopes = _exact(weight, torch.linspace(0.5, CUTOFF, 1001))
    _, bound = error_bounds(weight[:, :-1], weight[:, -1], CUTOFF, dtype)
    assert bound.max() < largest * slopes.abs().max()


@pytest.mark.parametrize("name", TABLE_KERNELS)
def test_filters_and_slopes_end_at_the_cutoff(name: str) -> None:
    distances = torch.tensor([CUTOFF, CUTOFF + 1e-9, 7.0, 1e9], dtype=torch.float64)
    values, slopes = _read(name, _table(_weight(), torch.float64), distances)
    assert not values.any()
    assert not slopes.any()


@pytest.mark.parametrize("name", TABLE_KERNELS)
def test_a_distance_that_is_no_number_gives_no_number(name: str) -> None:
    distances = torch.tensor([float("nan"), 1.0], dtype=torch.float64)
    for result in _read(name, _table(_weight(), torch.float64), distances):
        assert result[0].isnan().all()
        assert result[1].isfinite().all()


def _message(dtype: torch.dtype = torch.float32) -> Message:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        message = Message(N_FEATURES, N_RADIAL, CUTOFF, KERNELS["cpu"])
    return message.to(dtype).requires_grad_(False)


def test_a_table_is_made_once() -> None:
    message = _message()
    assert message.table() is message.table()


@pytest.mark.parametrize("way", ["in place", "another tensor", "load", "dtype"])
def test_a_table_follows_its_weights(way: str) -> None:
    message = _message()
    before = message.table()
    if way == "in place":
        message.radial_filter.weight.mul_(2.0)
    elif way == "another tensor":
        message.radial_filter.bias.data = message.radial_filter.bias + 1.0
    elif way == "load":
        message.load_state_dict({k: 3.0 * v for k, v in message.state_dict().items()})
    else:
        message.to(torch.float64)
    after, fresh = message.table(), _message(message.radial_filter.weight.dtype)
    fresh.load_state_dict(message.state_dict())
    assert after is not before
    assert torch.equal(after.rows, fresh.table().rows)


def test_a_table_is_no_part_of_the_saved_weights() -> None:
    message = _message()
    names = set(message.state_dict())
    message.table()
    assert set(message.state_dict()) == names


def test_a_table_is_made_in_inference_mode_too() -> None:
    message = _message()
    with torch.inference_mode():
        rows = message.table().rows
    assert torch.equal(rows, _message().table().rows)


@pytest.mark.parametrize("name", KERNELS)
def test_only_kernels_that_read_tables_get_them_and_only_for_frozen_weights(name: str) -> None:
    message = Message(N_FEATURES, N_RADIAL, CUTOFF, KERNELS[name])
    assert not message.can_use_table
    message.radial_filter.requires_grad_(False)
    assert message.can_use_table == KERNELS[name].reads_tables


def test_a_table_of_inference_tensors_follows_its_weights() -> None:
    with torch.inference_mode():
        message = _message()
        before = message.table()
        message.radial_filter.weight.mul_(2.0)
        assert not torch.equal(message.table().rows, before.rows)
