"""Losses count labels, not structures, and leave out what has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.made import HEADS, packed, small_model
from training.config import LossConfig
from training.data.loader import Assembler, Batch
from training.data.source import MemorySource
from training.engine.losses import combine, huber, loss_terms, wanted
from training.engine.metrics import HeadErrors, predict_batch, references_only

GRAPHS = packed(8)
WEIGHTS = torch.ones(2)


def _batch(*index: int) -> Batch:
    return Assembler(MemorySource(GRAPHS, ["made"]), np.arange(8) % 2).batch(np.array(index))


def test_huber_is_smooth_where_it_becomes_linear() -> None:
    delta = 0.5
    error = torch.tensor([0.1, 0.5 - 1e-6, 0.5 + 1e-6, 2.0])
    # error² / (2 delta) below, |error| - delta / 2 above
    expected = torch.tensor([0.01, 0.25, 0.25, 1.75])
    assert torch.allclose(huber(error, delta), expected, atol=1e-5)


def test_the_loss_is_the_weighted_mean_over_labels() -> None:
    batch, model = _batch(1, 3, 5), small_model()
    config = LossConfig(function="mae", energy_weight=2.0, forces_weight=3.0)
    prediction = predict_batch(model, batch, wanted(batch), differentiable=True)
    terms = loss_terms(prediction, batch, config, WEIGHTS)
    loss = combine(terms, config, {name: term.n_labels for name, term in terms.items()})
    energy = ((prediction.energy - batch.targets["energy"]) / batch.graph.n_atoms).abs().mean()
    forces = (prediction.forces - batch.targets["forces"]).abs().mean()
    assert loss.item() == pytest.approx(2.0 * energy.item() + 3.0 * forces.item())


def test_two_parts_of_a_batch_with_global_counts_add_up_to_the_whole() -> None:
    model, config = small_model(), LossConfig()
    whole, parts = _batch(0, 1, 2, 3, 4, 5), (_batch(0, 1, 2), _batch(3, 4, 5))
    terms = [_terms(model, batch, config) for batch in (whole, *parts)]
    counts = {name: term.n_labels for name, term in terms[0].items()}
    losses = [combine(part, config, counts).item() for part in terms]
    assert losses[1] + losses[2] == pytest.approx(losses[0], rel=1e-6)


def test_structures_without_a_label_do_not_change_the_gradient() -> None:
    model, config = small_model(), LossConfig(energy_weight=0.0, stress_weight=0.0)
    gradients = []
    for batch in (_batch(1, 3), _batch(1, 3, 0)):  # structure 0 has no forces
        terms = _terms(model, batch, config)
        loss = combine(terms, config, {name: term.n_labels for name, term in terms.items()})
        model.zero_grad()
        loss.backward()
        gradients.append(model.backbone.embedding.weight.grad.clone())
    assert torch.allclose(gradients[0], gradients[1], atol=1e-7)


def test_the_weight_of_a_head_multiplies_its_part() -> None:
    model, config = small_model(), LossConfig()
    batch = _batch(1, 5)  # both of the second head
    single = _terms(model, batch, config)["energy"].total
    double = loss_terms(
        predict_batch(model, batch, wanted(batch), differentiable=True),
        batch,
        config,
        torch.tensor([1.0, 2.0]),
    )["energy"].total
    assert double.item() == pytest.approx(2.0 * single.item())


def test_only_what_a_batch_has_labels_of_is_predicted() -> None:
    assert wanted(_batch(1, 3)) == ("energy", "forces")
    assert wanted(_batch(0)) == ("energy", "stress")
    assert wanted(_batch(0, 1)) == ("energy", "forces", "stress")


def test_errors_of_the_references_are_those_of_the_labels_themselves() -> None:
    batch, model = _batch(1, 3), small_model()
    errors = HeadErrors(HEADS)
    errors.add(references_only(model, batch), batch)
    row = errors.result()["second"]
    per_atom = (batch.targets["energy"] / batch.graph.n_atoms).abs().mean().item()
    assert row.energy_mae_meV_per_atom == pytest.approx(1e3 * per_atom)
    forces = batch.targets["forces"].abs().mean().item()
    assert row.forces_mae_meV_per_angstrom == pytest.approx(1e3 * forces, rel=1e-5)
    assert "first" not in errors.result()


def _terms(model, batch, config):
    return loss_terms(
        predict_batch(model, batch, wanted(batch), differentiable=True), batch, config, WEIGHTS
    )
