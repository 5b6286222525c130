"""Every kernel computes what the reference does: for arrays of any size, and in a model."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.foundation import FoundationModel
from tests.made.evaluate import assert_close, evaluate
from tests.made.kernels import OTHERS
from tests.made.models import small_model
from tests.properties.strategies import sound_structures

DTYPES = st.sampled_from([torch.float64, torch.float32])
ROUNDING = {torch.float64: 1e-11, torch.float32: 2e-4}
"""Relative to the largest number: sums of up to some thousand products in another order."""
TABULATED = 1e-7
"""Relative; radial filters are read from tables with a stated error, see `kernels.tables`."""


@st.composite
def message_inputs(draw: st.DrawFn) -> tuple[list[Tensor | None], Tensor]:
    """States, vectors or none, filters, directions; edges sorted by center."""
    n_atoms, n_features = draw(st.integers(1, 200)), draw(st.integers(1, 9))
    n_edges, dtype = draw(st.integers(0, 600)), draw(DTYPES)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    vectors = normal(n_atoms, 3, n_features) if draw(st.booleans()) else None
    edges = torch.randint(0, n_atoms, (2, n_edges), generator=generator)
    edges = edges[:, edges[0].argsort()]
    states, filters = normal(n_atoms, 3 * n_features), normal(n_edges, 3 * n_features)
    return [states, vectors, filters, normal(n_edges, 3)], edges


def values_and_gradients(name: str, inputs: list[Tensor | None], edges: Tensor) -> list[Tensor]:
    """Sums over neighbors and the gradients of their squares."""
    kernel = KERNELS[name]
    own = [None if tensor is None else tensor.clone().requires_grad_() for tensor in inputs]
    values = kernel.messages(*own, kernel.sides(edges, len(own[0])))
    given_ones = [tensor for tensor in own if tensor is not None]
    total = sum(value.square().sum() for value in values)
    gradients = torch.autograd.grad(total, given_ones, materialize_grads=True)
    return [*values, *gradients]


@pytest.mark.parametrize("name", OTHERS)
@given(drawn=message_inputs())
def test_messages_are_those_of_the_reference(
    name: str, drawn: tuple[list[Tensor | None], Tensor]
) -> None:
    expected = values_and_gradients("reference", *drawn)
    for found, wanted in zip(values_and_gradients(name, *drawn), expected, strict=True):
        size = max([1.0, *wanted.abs().flatten().tolist()])
        assert_close(found, wanted, ROUNDING[found.dtype] * size)


@pytest.fixture(scope="module")
def models() -> dict[str, FoundationModel]:
    reference = small_model(("first",)).double()
    found = {"reference": reference}
    for name in OTHERS:
        twin = FoundationModel(reference.architecture, ["first"], name).double()
        twin.load_state_dict(reference.state_dict())
        found[name] = twin.eval().requires_grad_(False)
    return found


@pytest.mark.parametrize("name", OTHERS)
@given(structures=st.lists(sound_structures(), min_size=1, max_size=3))
def test_a_model_is_the_same_with_every_kernel(
    models: dict[str, FoundationModel], name: str, structures: list[Atoms]
) -> None:
    samples = [sample_from_atoms(atoms) for atoms in structures]
    want = ["energy", "forces"]
    if any(sample.pbc.all() for sample in samples):
        want.append("stress")
    found = evaluate(models[name], *samples, want=want)
    expected = evaluate(models["reference"], *samples, want=want)
    for field in want:
        one, other = getattr(found, field), getattr(expected, field)
        assert torch.equal(one.isnan(), other.isnan())  # stress of what has none
        size = max(1.0, other.nan_to_num(0.0).abs().max().item())
        assert_close(one.nan_to_num(0.0), other.nan_to_num(0.0), TABULATED * size)
