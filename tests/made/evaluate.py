"""Shortest way from samples to a prediction, and derivatives by central differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.models.derivatives import Prediction, predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample
from tests.made.tolerances import STEP

HEAD = "first"


def graph_of(model: FoundationModel, *samples: Sample) -> AtomicGraph:
    """One batch of all samples, in the model's data type."""
    return collate([graph_from_sample(sample, model.cutoff, model.dtype) for sample in samples])


def evaluate(
    model: FoundationModel,
    *samples: Sample,
    want: Sequence[str] = ("energy", "forces"),
    head: str = HEAD,
) -> Prediction:
    """Prediction of one head for a batch of all samples."""
    return predict(model.energy_of(head), graph_of(model, *samples), want)


def wanted(*samples: Sample) -> tuple[str, ...]:
    """Energy and forces, and stress where every sample has one."""
    periodic = all(sample.pbc.all() for sample in samples)
    return ("energy", "forces", "stress") if periodic else ("energy", "forces")


def numerical_forces(model: FoundationModel, sample: Sample) -> Tensor:
    """-dE/dR by central differences with a new neighbor list at every step: [N, 3] eV/Å."""
    steps = STEP * np.eye(3 * sample.n_atoms).reshape(-1, sample.n_atoms, 3)
    return -_differences(
        model, [[_moved(sample, sign * step) for sign in (1, -1)] for step in steps]
    ).reshape(-1, 3)


def numerical_stress(model: FoundationModel, sample: Sample) -> Tensor:
    """(dE/dstrain) / volume by central differences of symmetric strains: [3, 3] eV/Å³."""
    units = np.eye(9).reshape(9, 3, 3)
    strains = STEP * 0.5 * (units + units.transpose(0, 2, 1))
    gradient = _differences(
        model, [[_strained(sample, sign * strain) for sign in (1, -1)] for strain in strains]
    )
    return gradient.reshape(3, 3) / abs(np.linalg.det(sample.cell))


def numerical_hessian(model: FoundationModel, sample: Sample) -> Tensor:
    """-dF/dR by central differences of the forces: [3N, 3N] eV/Å²."""
    steps = STEP * np.eye(3 * sample.n_atoms).reshape(-1, sample.n_atoms, 3)
    moved = [_moved(sample, sign * step) for step in steps for sign in (1, -1)]
    forces = evaluate(model, *moved).forces.reshape(len(steps), 2, -1)
    return -(forces[:, 0] - forces[:, 1]) / (2 * STEP)


def _differences(model: FoundationModel, pairs: list[list[Sample]]) -> Tensor:
    energies = evaluate(model, *(sample for pair in pairs for sample in pair), want=["energy"])
    upper, lower = energies.energy.reshape(-1, 2).unbind(dim=1)
    return (upper - lower) / (2 * STEP)


def _moved(sample: Sample, change: np.ndarray) -> Sample:
    return replace(sample, positions=sample.positions + change)


def _strained(sample: Sample, strain: np.ndarray) -> Sample:
    deformation = np.eye(3) + strain
    return replace(sample, positions=sample.positions @ deformation, cell=sample.cell @ deformation)


def assert_close(actual: Tensor, expected: Tensor, atol: float) -> None:
    """Equal within an absolute tolerance, shapes included."""
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0.0, check_dtype=False)
