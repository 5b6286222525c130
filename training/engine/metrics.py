"""Errors per head, added up over batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction, predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import SplitErrors
from atomfm_calc.units import GPA
from training.config import PropertyLoss
from training.engine.losses import (
    DERIVED,
    LabeledBatch,
    errors,
    labeled_properties,
    property_loss,
    wanted,
)

_FACTORS = {"energy": 1e3, "forces": 1e3, "stress": 1.0 / GPA}
"""From eV/atom, eV/Å and eV/Å³ to meV/atom, meV/Å and GPa."""
_LOSS_OF_METRIC = {1: PropertyLoss(function="mae"), 2: PropertyLoss(function="cross_entropy")}
"""By dimensions of the predictions: numbers, or logits of classes."""


class HeadErrors:
    """Mean absolute errors of each head."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads = tuple(heads)
        self._sums = {name: torch.zeros(len(heads), dtype=torch.float64) for name in _FACTORS}
        self._counts = {name: torch.zeros(len(heads), dtype=torch.float64) for name in _FACTORS}
        self._structures = torch.zeros(len(heads), dtype=torch.int64)
        self._properties: dict[str, tuple[float, int]] = {}

    def add(self, prediction: Prediction, batch: LabeledBatch) -> None:
        """Count a batch."""
        head = batch.head.cpu()
        self._structures += torch.bincount(head[head >= 0], minlength=len(self.heads))
        for name, (error, owner) in errors(prediction, batch).items():
            flat = error.detach().abs().to("cpu", torch.float64)[:, None].flatten(1)
            head_of_row = head.index_select(0, owner.cpu())
            self._sums[name].index_add_(0, head_of_row, flat.sum(dim=1))
            size = torch.full((len(flat),), float(flat.shape[1]), dtype=torch.float64)
            self._counts[name].index_add_(0, head_of_row, size)

        for name, (predicted, label) in labeled_properties(prediction, batch).items():
            own = property_loss(predicted, label, _LOSS_OF_METRIC[predicted.ndim])
            total, count = self._properties.get(name, (0.0, 0))
            self._properties[name] = (total + float(own.sum()), count + len(own))

    def properties(self) -> dict[str, float]:
        """Mean |error| of the learned value of each property; of classes, mean cross-entropy."""
        return {name: total / count for name, (total, count) in self._properties.items() if count}

    def result(self) -> dict[str, SplitErrors]:
        """Errors of the heads of which structures were counted."""
        return {
            name: SplitErrors(
                energy_mae_meV_per_atom=self._mean("energy", index),
                forces_mae_meV_per_angstrom=self._mean("forces", index),
                stress_mae_GPa=self._mean("stress", index),
            )
            for index, name in enumerate(self.heads)
            if self._structures[index] > 0
        }

    def n_structures(self) -> dict[str, int]:
        """Structures counted per head."""
        return dict(zip(self.heads, self._structures.tolist(), strict=True))

    def _mean(self, name: str, index: int) -> float | None:
        count = float(self._counts[name][index])
        return float(self._sums[name][index]) / count * _FACTORS[name] if count else None


def joined(parts: Sequence[HeadErrors]) -> HeadErrors:
    """The errors of several ranks together, whichever heads each of them has."""
    total = HeadErrors(list(dict.fromkeys(name for part in parts for name in part.heads)))
    for part in parts:
        places = [total.heads.index(name) for name in part.heads]
        rows = torch.tensor(places, dtype=torch.int64)
        for name in _FACTORS:
            total._sums[name].index_add_(0, rows, part._sums[name])
            total._counts[name].index_add_(0, rows, part._counts[name])
        total._structures.index_add_(0, rows, part._structures)
        for name, (value, count) in part._properties.items():
            before, counted = total._properties.get(name, (0.0, 0))
            total._properties[name] = (before + value, counted + count)
    return total


def overall_error(
    results: Mapping[str, SplitErrors], properties: Mapping[str, float] | None = None
) -> float:
    """One number to compare validations of a run by: the geometric mean of all errors.

    A factor counts the same in every head and property, whatever its size and unit.
    """
    values = [
        value
        for row in results.values()
        for value in (
            row.energy_mae_meV_per_atom,
            row.forces_mae_meV_per_angstrom,
            row.stress_mae_GPa,
        )
        if value is not None and value > 0.0
    ]
    values += [value for value in (properties or {}).values() if value > 0.0]
    return math.exp(sum(math.log(value) for value in values) / max(len(values), 1))


def evaluate_model(model: FoundationModel, batches: Iterable[LabeledBatch]) -> HeadErrors:
    """Errors and numbers of structures per head of a model over batches on its device."""
    totals = HeadErrors(model.head_names)
    for batch in batches:
        totals.add(predict_batch(model, batch, wanted(batch), differentiable=False), batch)
    return totals


def predict_batch(
    model: FoundationModel, batch: LabeledBatch, want: Sequence[str], *, differentiable: bool
) -> Prediction:
    """What is wanted of every structure of a batch: energies, each with its own head; properties.

    Energies that are not wanted are NaN.
    """
    head, graph = batch.head, batch.graph
    derived = [name for name in want if name in DERIVED]
    properties = [name for name in want if name not in DERIVED]
    if derived:
        prediction = predict(
            lambda moved: model.energy_of_mixed_heads(moved, head),
            graph,
            derived,
            differentiable=differentiable,
        )
    else:
        unknown = torch.full_like(batch.targets["energy"], torch.nan)
        prediction = Prediction(unknown, None, None, None)
    if properties:
        with torch.set_grad_enabled(differentiable):
            prediction = prediction._replace(properties=model.properties(graph, properties))
    return prediction


def references_only(model: FoundationModel, batch: LabeledBatch) -> Prediction:
    """The baseline without a network: element references, no forces, no stress."""
    graph = batch.graph
    table = torch.stack([model.head(name).references for name in model.head_names])  # [H, 119]
    head_of_atom = batch.head.index_select(0, graph.batch)
    atoms = table[head_of_atom, graph.atomic_numbers]
    energy = torch.zeros(graph.n_structures, dtype=torch.float64, device=atoms.device)
    return Prediction(
        energy=energy.index_add(0, graph.batch, atoms),
        atom_energies=atoms,
        forces=torch.zeros_like(graph.positions),
        stress=torch.zeros_like(graph.cell),
    )


def table_of_errors(results: Mapping[str, SplitErrors]) -> str:
    """One line per head, for people."""
    width = max([len(name) for name in results], default=4)
    lines = [f"{'head':<{width}}  energy meV/atom  forces meV/Å  stress GPa"]
    lines += [
        f"{name:<{width}}  {_cell(row.energy_mae_meV_per_atom, 15)}"
        f"  {_cell(row.forces_mae_meV_per_angstrom, 12)}  {_cell(row.stress_mae_GPa, 10)}"
        for name, row in results.items()
    ]
    return "\n".join(lines)


def _cell(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.2f}"


class MovedBatch(NamedTuple):
    """A `LabeledBatch` where a model needs it."""

    graph: AtomicGraph
    """Inputs."""
    targets: dict[str, Tensor]
    """As in `LabeledBatch`."""
    head: Tensor
    """As in `LabeledBatch`."""
    sources: tuple[str, ...]
    """As in `LabeledBatch`."""


def move(
    batch: LabeledBatch,
    device: torch.device,
    dtype: torch.dtype | None = None,
    place_of_head: Tensor | None = None,
) -> MovedBatch:
    """The batch on another device and in another precision.

    Args:
        batch: is not changed.
        device: of the model.
        dtype: of real-valued inputs; None: as they are. Labels keep theirs.
        place_of_head: [heads of the run] place of each among the model's; None: the same.
    """
    head = batch.head
    if place_of_head is not None and len(place_of_head):
        head = torch.where(head < 0, head, place_of_head[head.clamp(min=0)])
    return MovedBatch(
        graph=batch.graph.to(device, dtype),
        targets={name: value.to(device) for name, value in batch.targets.items()},
        head=head.to(device),
        sources=batch.sources,
    )
