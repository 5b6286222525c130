"""Precision of weights and arithmetic while training, by name."""

from __future__ import annotations

from typing import NamedTuple

import torch

from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.precision import set_dense_dtype


class Precision(NamedTuple):
    """What is computed in what."""

    weights: torch.dtype
    """Weights, optimizer, positions, distances, filters, sums over neighbors."""
    dense: torch.dtype | None
    """Dense layers of atoms; None: as the weights."""


PRECISIONS: dict[str, Precision] = {
    "fp64": Precision(torch.float64, None),
    "fp32": Precision(torch.float32, None),
    "bf16": Precision(torch.float32, torch.bfloat16),
}
"""References and energies are float64 in all of them."""


def set_precision(model: FoundationModel, precision: Precision) -> None:
    """Bring a model to a precision; its weights are rounded where they must be."""
    model.to(precision.weights)
    set_dense_dtype(model, precision.dense)
