"""What fine-tuning asks of the trainer: losses of properties, groups of rates, patience."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction
from atomfm_calc.models.property_heads import PropertyHeadConfig
from tests.made.evaluate import graph_of
from tests.made.models import small_model
from tests.made.structures import STRUCTURES
from tests.training.made import small_trainer
from training.config import LossConfig, OptimizerConfig, PropertyLoss
from training.engine.losses import combine, count_labels, loss_terms, wanted
from training.engine.metrics import HeadErrors, overall_error, predict_batch
from training.engine.optim import RATE_FACTOR, make_optimizer, rate_factor

NAN = float("nan")


class _Batch(NamedTuple):
    graph: AtomicGraph
    targets: dict[str, Tensor]
    head: Tensor
    sources: tuple[str, ...]


def _batch(labels: list[float]) -> _Batch:
    """Water and ethanol with labels of one property and no energies."""
    graph = graph_of(small_model(("one",)), STRUCTURES["water"], STRUCTURES["ethanol"])
    empty = {"energy": torch.full((2,), NAN, dtype=torch.float64)}
    empty["forces"] = torch.full((len(graph.positions), 3), NAN)
    empty["stress"] = torch.full((2, 3, 3), NAN)
    targets = {**empty, "gap": torch.tensor(labels, dtype=torch.float64)}
    return _Batch(graph, targets, torch.tensor([-1, -1]), ("water", "ethanol"))


def _with_properties(values: Tensor) -> Prediction:
    return Prediction(torch.full((2,), NAN), None, None, None, {"gap": values})


def test_a_loss_is_in_scales_and_counts_labels_only() -> None:
    batch = _batch([2.0, NAN])
    loss = LossConfig(properties={"gap": PropertyLoss(function="mse", scale=0.5, weight=3.0)})
    terms = loss_terms(_with_properties(torch.tensor([3.0, 9.0])), batch, loss, torch.ones(1))
    assert terms["gap"].total == pytest.approx(4.0)  # (1.0 / 0.5)², the other has no label
    counts = count_labels(batch, ("energy", "forces", "stress", "gap", "absent"))
    assert counts == {"energy": 0, "forces": 0, "stress": 0, "gap": 1, "absent": 0}
    assert float(combine(terms, loss, counts)) == pytest.approx(12.0)


def test_classes_have_a_cross_entropy() -> None:
    loss = LossConfig(properties={"gap": PropertyLoss(function="cross_entropy")})
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    terms = loss_terms(_with_properties(logits), _batch([0.0, 1.0]), loss, torch.ones(1))
    # -ln(1/4) - ln(1/2) = 3 ln 2
    assert float(terms["gap"].total) == pytest.approx(3.0 * 0.693147, rel=1e-5)


def test_a_batch_of_properties_needs_no_energies() -> None:
    batch, model = _batch([1.0, 2.0]), small_model(("one",))
    model.add_property_head("gap", PropertyHeadConfig(kind="structure-scalar", unit="eV"))
    assert wanted(batch) == ("gap",)
    prediction = predict_batch(model, batch, wanted(batch), differentiable=True)
    assert prediction.forces is None
    assert prediction.properties is not None
    assert prediction.properties["gap"].requires_grad


def test_errors_of_properties_are_means_over_labels() -> None:
    errors = HeadErrors(("one",))
    errors.add(_with_properties(torch.tensor([3.0, 9.0])), _batch([2.0, NAN]))
    errors.add(_with_properties(torch.tensor([3.0, 9.0])), _batch([0.0, 9.0]))
    assert errors.properties() == {"gap": pytest.approx(4.0 / 3.0)}
    assert errors.result() == {}
    assert overall_error({}, errors.properties()) == pytest.approx(4.0 / 3.0)


def test_the_longest_beginning_of_a_name_gives_the_rate() -> None:
    factors = {"backbone.": 0.1, "backbone.blocks.1.": 0.5}
    assert rate_factor("backbone.blocks.1.weight", factors) == 0.5
    assert rate_factor("backbone.embedding.weight", factors) == 0.1
    assert rate_factor("heads.one.weight", factors) == 1.0


def test_every_parameter_is_in_one_group_with_its_rate() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    optimizer = make_optimizer(model, OptimizerConfig(rate_factors={"a.": 0.25}))
    rates = {
        id(parameter): group[RATE_FACTOR]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert {rates[id(p)] for p in model["a"].parameters()} == {0.25}
    assert {rates[id(p)] for p in model["b"].parameters()} == {1.0}
    assert len(rates) == 4


def test_a_run_ends_when_validations_stop_getting_better(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path, max_steps=50)
    still = replace(trainer.config.optimizer, learning_rate=0.0, end_learning_rate=0.0)
    trainer.config = replace(trainer.config, optimizer=still, patience=2, validate_every_steps=1)
    result = trainer.fit()
    # weights that do not move: the first validation is the best, the next two are not better
    assert result.steps == 3
    assert result.finished
