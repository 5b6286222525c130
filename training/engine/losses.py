"""Losses as sums over labels, to be divided by counts that may be those of all processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from atomfm_calc.errors import lookup
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction
from training.config import LossConfig, PropertyLoss


class LabeledBatch(Protocol):
    """What the engine needs to know of a batch of S structures."""

    @property
    def graph(self) -> AtomicGraph:
        """Inputs, N atoms."""

    @property
    def targets(self) -> dict[str, Tensor]:
        """Labels: energy [S], forces [N, 3], stress [S, 3, 3]; NaN = none.

        Also by the names of property heads what they learn, [S] or [N].
        """

    @property
    def head(self) -> Tensor:
        """[S] index of the energy head of each structure; -1: none, it has properties only."""

    @property
    def sources(self) -> tuple[str, ...]:
        """[S] names for messages."""


DERIVED = ("energy", "forces", "stress")
"""Labels of energy heads."""


class LossTerm(NamedTuple):
    """One property's part of the loss."""

    total: Tensor
    """Sum over the labels, weighted by head."""
    n_labels: int
    """Number of labels."""


def mae(error: Tensor, delta: float) -> Tensor:
    """|error|; `delta` is not used."""
    return error.abs()


def mse(error: Tensor, delta: float) -> Tensor:
    """error²; `delta` is not used."""
    return error * error


def huber(error: Tensor, delta: float) -> Tensor:
    """|error| - delta / 2 above delta, error² / (2 delta) below: slope 1 far out."""
    size = error.abs()
    return torch.where(size > delta, size - 0.5 * delta, error * error / (2.0 * delta))


LOSSES: dict[str, Callable[[Tensor, float], Tensor]] = {"huber": huber, "mae": mae, "mse": mse}
"""Error and the size where it changes shape -> loss, element by element."""


def errors(prediction: Prediction, batch: LabeledBatch) -> dict[str, tuple[Tensor, Tensor]]:
    """Errors of the labeled entries and the structure of each, by property.

    Energy errors are per atom, [L] in eV; forces [L, 3] in eV/Å; stress [L, 3, 3] in eV/Å³, each
    over the L structures or atoms that have the label.
    """
    graph, result = batch.graph, {}
    for name, level in (("energy", "structure"), ("forces", "atom"), ("stress", "structure")):
        predicted = getattr(prediction, name)
        if predicted is None or name not in batch.targets:
            continue
        target = batch.targets[name]
        labeled = torch.isfinite(target.reshape(len(target), -1)).all(dim=1).nonzero()[:, 0]
        error = predicted.index_select(0, labeled) - target.index_select(0, labeled)
        if name == "energy":
            error = error / graph.n_atoms.index_select(0, labeled)
        owner = labeled if level == "structure" else graph.batch.index_select(0, labeled)
        result[name] = (error, owner)
    return result


def loss_terms(
    prediction: Prediction, batch: LabeledBatch, config: LossConfig, head_weights: Tensor
) -> dict[str, LossTerm]:
    """Sums and label counts of the properties that batch and prediction share.

    Args:
        prediction: of `batch`, differentiable.
        batch: S structures.
        config: shape of the loss.
        head_weights: [number of heads].
    """
    function = lookup(LOSSES, config.function, "loss")
    deltas = {
        "energy": config.energy_delta,
        "forces": config.forces_delta,
        "stress": config.stress_delta,
    }
    terms = {}
    for name, (error, owner) in errors(prediction, batch).items():
        weight = head_weights.index_select(0, batch.head.index_select(0, owner))
        values = function(error, deltas[name])[:, None].flatten(1)  # [L, components]
        terms[name] = LossTerm((values.sum(dim=1) * weight).sum().to(torch.float64), values.numel())
    for name, (predicted, label) in labeled_properties(prediction, batch).items():
        values = property_loss(predicted, label, config.properties[name])
        terms[name] = LossTerm(values.sum(), len(values))
    return terms


def labeled_properties(
    prediction: Prediction, batch: LabeledBatch
) -> dict[str, tuple[Tensor, Tensor]]:
    """Predictions and labels of the entries that have one, as they are learned, by property.

    [L], or logits [L, classes] and places of classes [L].
    """
    result = {}
    for name, predicted in (prediction.properties or {}).items():
        labeled = torch.isfinite(batch.targets[name]).nonzero()[:, 0]
        target = batch.targets[name].index_select(0, labeled)
        result[name] = (predicted.index_select(0, labeled), target)
    return result


def property_loss(predicted: Tensor, label: Tensor, config: PropertyLoss) -> Tensor:
    """Loss of each label [L]; arguments as `labeled_properties` gives them."""
    if config.function == "cross_entropy":
        return nn.functional.cross_entropy(predicted, label.long(), reduction="none")
    error = (predicted - label) / config.scale
    return lookup(LOSSES, config.function, "loss")(error, config.delta)


def combine(terms: dict[str, LossTerm], config: LossConfig, n_labels: dict[str, int]) -> Tensor:
    """The loss: weighted means of the terms over `n_labels` labels (of all processes together)."""
    weights = {
        "energy": config.energy_weight,
        "forces": config.forces_weight,
        "stress": config.stress_weight,
        **{name: loss.weight for name, loss in config.properties.items()},
    }
    total = torch.zeros((), dtype=torch.float64)
    for name, term in terms.items():
        total = total.to(term.total.device) + weights[name] * term.total / max(n_labels[name], 1)
    return total


def wanted(batch: LabeledBatch) -> tuple[str, ...]:
    """What must be predicted: only what the batch has a label of; energies if it has none."""
    labeled = [name for name, value in batch.targets.items() if bool(value.isfinite().any())]
    derived = [name for name in DERIVED if name in labeled]
    properties = [name for name in labeled if name not in DERIVED]
    if properties and not derived:
        return tuple(properties)
    return tuple(dict.fromkeys(("energy", *derived, *properties)))


def count_labels(batch: LabeledBatch, want: Sequence[str]) -> dict[str, int]:
    """Number of labels of each property of a batch, as `loss_terms` counts them."""
    counts = dict.fromkeys(want, 0)
    for name in counts.keys() & batch.targets.keys():
        rows = torch.isfinite(batch.targets[name].reshape(len(batch.targets[name]), -1))
        counts[name] = int(rows.all(dim=1).sum()) * rows.shape[1]
    return counts
