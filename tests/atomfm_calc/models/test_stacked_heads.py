"""Weights of heads are stacked once, and again whenever they are no longer the same."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.heads import EnergyHead
from atomfm_calc.models.precision import set_dense_dtype
from atomfm_calc.models.stacked_heads import can_stack, stack
from tests.made.models import small_model

NAMES = ("one", "two", "three")
Change = Callable[[FoundationModel], object]


def trained_one(model: FoundationModel) -> None:
    with torch.no_grad():
        model.head("two").network[0].weight.add_(0.3)


def drop_and_add(model: FoundationModel) -> None:
    model.drop_head("two")
    model.add_head("two").to(torch.float64).requires_grad_(False)


def drop_and_load(model: FoundationModel) -> None:
    model.load_state_dict(small_model(NAMES, seed=5).state_dict())


CHANGES: dict[str, Change] = {
    "weights written to": trained_one,
    "references written to": lambda model: model.head("one").references.add_(1.0),
    "scale filled": lambda model: model.head("three").scale.fill_(3.0),
    "head replaced": drop_and_add,
    "weights loaded": drop_and_load,
    "there and back in precision": lambda model: model.to(torch.float32).to(torch.float64),
    "precision lowered": lambda model: model.to(torch.float32),
    "nothing": lambda model: None,
}


def energies_both_ways(model: FoundationModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Of three random atoms, by `head_energies` and head by head."""
    scalars = torch.linspace(-1, 1, 24, dtype=model.dtype).reshape(3, 8)
    elements = torch.tensor([1, 8, 26])
    names = model.head_names
    alone = torch.stack([model.head(name)(scalars, elements) for name in names])
    return model.head_energies(scalars, elements, names), alone


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_change_of_the_heads_is_seen_by_the_next_call(change: Change) -> None:
    model = small_model(NAMES).to(torch.float64)
    energies_both_ways(model)
    change(model)
    together, alone = energies_both_ways(model)
    tolerance = 1e-12 if model.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(together, alone, atol=tolerance, rtol=0.0)


def test_frozen_heads_are_stacked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        "atomfm_calc.models.foundation.stack", lambda *given: calls.append(1) or stack(*given)
    )
    model = small_model(NAMES)
    for _ in range(3):
        energies_both_ways(model)
    assert len(calls) == 1


@pytest.mark.parametrize("cached", [1, 50, 10**9], ids=["one by one", "two and one", "all"])
def test_how_many_heads_go_together_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, cached: int
) -> None:
    monkeypatch.setattr("atomfm_calc.models.stacked_heads.CACHED_NUMBERS", cached)
    together, alone = energies_both_ways(small_model(NAMES).to(torch.float64))
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0.0)


def test_a_copy_of_a_model_has_weights_of_its_own() -> None:
    model = small_model(NAMES)
    energies_both_ways(model)
    twin = copy.deepcopy(model)
    trained_one(twin)
    for each in (model, twin):
        torch.testing.assert_close(*energies_both_ways(each), atol=1e-5, rtol=0.0)
    changed = energies_both_ways(twin)[0] != energies_both_ways(model)[0]
    assert changed.any(dim=1).tolist() == [False, True, False]


def heads_of(model: FoundationModel) -> list[EnergyHead]:
    return [model.head(name) for name in model.head_names]


def test_heads_that_are_trained_or_rounded_or_of_other_widths_are_not_stacked() -> None:
    assert can_stack(heads_of(small_model(NAMES)))
    trained = small_model(NAMES)
    trained.head("two").requires_grad_(True)
    assert not can_stack(heads_of(trained))
    rounded = small_model(NAMES)
    set_dense_dtype(rounded, torch.bfloat16)
    assert not can_stack(heads_of(rounded))
    assert not can_stack([*heads_of(small_model(NAMES)), small_model(n_features=6).head("ions")])


def test_gradients_reach_the_weights_of_trained_heads() -> None:
    model = small_model(NAMES)
    model.head("two").requires_grad_(True)
    energies_both_ways(model)[0].sum().backward()
    assert float(model.head("two").network[0].weight.grad.abs().max()) > 0.0
    assert model.head("one").network[0].weight.grad is None


def test_a_model_of_inference_tensors_is_not_stacked_but_computed() -> None:
    with torch.inference_mode():
        model = small_model(NAMES)
        together, alone = energies_both_ways(model)
        assert not can_stack(heads_of(model))
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0.0)
