"""Several heads from one backbone pass: together, one by one, and as a weighted mixture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atomfm_calc.errors import ConfigError, DataError, UnknownNameError
from atomfm_calc.models.derivatives import predict, predict_heads
from atomfm_calc.models.foundation import FoundationModel
from tests.contract.conftest import HEADS
from tests.made.evaluate import assert_close, graph_of
from tests.made.structures import PERIODIC, STRUCTURES
from tests.made.tolerances import Tolerances

ALL = ("energy", "forces", "stress")
ROUNDING = 1e-12
"""Relative to the largest number in an array: a few dozen operations of 1e-16 each."""


def assert_rounded(found: Tensor | None, expected: Tensor | None) -> None:
    """Equal but for the order of the operations; None is what models without atom energies give."""
    if found is None or expected is None:
        assert found is expected
        return
    assert_close(found, expected, ROUNDING * max(1.0, float(expected.abs().max())))


def test_heads_together_equal_the_heads_one_by_one(model: FoundationModel) -> None:
    graph = graph_of(model, *STRUCTURES.values())
    together = model.energies(graph, HEADS)
    for name in HEADS:
        alone = model.energy(graph, name)
        assert_rounded(together[name].structures, alone.structures)
        assert_rounded(together[name].atoms, alone.atoms)


@pytest.mark.parametrize("trained", [False, True], ids=["frozen", "trained"])
def test_forces_and_stress_of_all_heads_equal_each_head(
    model: FoundationModel, trained: bool
) -> None:
    model.requires_grad_(trained)
    graph = graph_of(model, *(STRUCTURES[name] for name in PERIODIC))
    for name, found in predict_heads(model, graph, HEADS, ALL).items():
        alone = predict(model.energy_of(name), graph, ALL)
        for value, expected in zip(found, alone, strict=True):
            assert value is None or not value.requires_grad
            assert_rounded(value, expected)


@pytest.mark.parametrize("name", ["lone atom", "ethanol", "slab"])
def test_a_structure_without_stress_has_forces_of_all_heads(
    model: FoundationModel, name: str, tolerance: Tolerances
) -> None:
    graph = graph_of(model, STRUCTURES[name])
    for head, found in predict_heads(model, graph, HEADS, ("forces",)).items():
        alone = predict(model.energy_of(head), graph, ("forces",))
        assert_close(found.forces, alone.forces, tolerance.forces)
        assert found.stress is None


@pytest.mark.parametrize("per_structure", [False, True])
def test_a_mixture_is_the_weighted_sum_of_the_heads(
    model: FoundationModel, per_structure: bool
) -> None:
    graph = graph_of(model, *(STRUCTURES[name] for name in PERIODIC))
    rows = len(PERIODIC) if per_structure else 1
    weights = torch.linspace(-0.2, 1.0, rows * len(HEADS), dtype=torch.float64).reshape(rows, -1)
    mixed = predict(model.energy_of_mixture(weights), graph, ALL)
    singles = [predict(model.energy_of(name), graph, ALL) for name in HEADS]
    of_structure = weights.expand(len(PERIODIC), -1)
    of_atom = of_structure[graph.batch]
    by_atom = dict.fromkeys(("atom_energies", "forces"), of_atom)
    for field, found in mixed._asdict().items():
        if field == "descriptors":  # of a single head
            continue
        if found is None:
            assert getattr(singles[0], field) is None
            continue
        parts = torch.stack([getattr(single, field) for single in singles], dim=1)
        factors = by_atom.get(field, of_structure)
        factors = factors.reshape(*factors.shape, *[1] * (parts.dim() - 2))
        assert_rounded(found, (factors * parts).sum(dim=1))


def test_a_mixture_takes_as_many_passes_as_a_single_head(
    model: FoundationModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, graph = torch.full((1, len(HEADS)), 0.3), graph_of(model, STRUCTURES["slab"])
    predict(model.energy_of(HEADS[0]), graph)  # makes what a kernel keeps for later calls
    passes, grad, features = [], torch.autograd.grad, model.features
    monkeypatch.setattr(model, "features", lambda graph: passes.append("on") or features(graph))
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *given, **more: passes.append("back") or grad(*given, **more)
    )
    predict(model.energy_of(HEADS[0]), graph)
    of_one = passes.copy()
    passes.clear()
    predict(model.energy_of_mixture(weights), graph)
    assert passes == of_one


def test_a_mixture_of_one_head_is_that_head(model: FoundationModel, tolerance: Tolerances) -> None:
    graph = graph_of(model, STRUCTURES["water"])
    mixed = predict(model.energy_of_mixture(torch.ones(1, 1), [HEADS[1]]), graph)
    alone = predict(model.energy_of(HEADS[1]), graph)
    assert_close(mixed.energy, alone.energy, tolerance.energy_eV)
    assert_close(mixed.forces, alone.forces, tolerance.forces)


def test_a_mixture_that_cannot_be_is_refused(model: FoundationModel) -> None:
    graph = graph_of(model, STRUCTURES["water"], STRUCTURES["slab"])
    with pytest.raises(DataError, match=r"shape \(3, 3\); 2 structures and 3 heads need \(2, 3\)"):
        model.mixture_energy(graph, torch.ones(3, 3))
    with pytest.raises(ConfigError, match="name each once"):
        model.mixture_energy(graph, torch.ones(1, 2), ["first", "first"])
    with pytest.raises(UnknownNameError, match="no head 'fourth'"):
        model.mixture_energy(graph, torch.ones(1, 2), ["first", "fourth"])
    with pytest.raises(ConfigError, match="no head is named"):
        model.energies(graph, [])
