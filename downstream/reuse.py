"""Which pretrained energy head a new one begins with, and its reference energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.models.derivatives import Prediction, predict_heads
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import ModelCard
from downstream.additive import fit_additive
from training.config import BatchLimits
from training.data.batching import fixed_batches
from training.data.packed import PackedGraphs
from training.data.statistics import composition_matrix, fit_references

MOST_STRUCTURES = 24
"""Looked at to choose a head."""
LIMITS = BatchLimits(max_atoms=2000, max_edges=60_000, max_structures=64)
"""Of a batch without gradients of weights."""

FEWEST_TO_SETTLE = 10
"""Structures; fewer say nothing about a drift."""

Floats = NDArray[np.float64]


def composition(graphs: PackedGraphs) -> Floats:
    """Number of atoms of each element in each structure: [S, 119]."""
    numbers = graphs.columns["atomic_numbers"].numpy().astype(np.int64)
    return composition_matrix(numbers, graphs.n_atoms)


def refit(model: FoundationModel, head: str, graphs: PackedGraphs) -> None:
    """Fit a head's references so that what the network says already is not counted twice.

    Ridge least squares per element (`fit_references`) of the labels minus the rest of the energy.

    Args:
        model: has the head; only its references change.
        head: name.
        graphs: labeled training structures.
    """
    own = model.head(head)
    own.references.zero_()
    predicted = np.concatenate(
        [part[head].energy.cpu().numpy() for part in _predictions(model, [head], graphs, False)]
    )
    labels = graphs.columns["energy"].numpy()
    labeled = np.isfinite(labels)
    counts = composition(graphs)[labeled]
    references = fit_references(counts, labels[labeled] - predicted[labeled])
    own.references.copy_(torch.from_numpy(references))


def settle(model: FoundationModel, head: str, graphs: PackedGraphs) -> None:
    """Correct a head's references by what the composition explains of its errors.

    Energies drift together when the backbone below a head moves, long before its forces do. Nothing
    is changed if structures that are left out of the fit become no better by it.

    Args:
        model: has the head; only its references change.
        head: name.
        graphs: labeled structures that the head was trained on.
    """
    predicted = np.concatenate(
        [part[head].energy.cpu().numpy() for part in _predictions(model, [head], graphs, False)]
    )
    error = graphs.columns["energy"].numpy() - predicted
    labeled = np.isfinite(error)
    if labeled.sum() < FEWEST_TO_SETTLE:
        return
    counts = composition(graphs)[labeled]
    per_atom = error[labeled] / counts.sum(axis=1)
    found = fit_additive(counts, per_atom)
    if found.deviation < float(np.sqrt(np.mean(per_atom**2))):
        references = model.head(head).references
        references.add_(torch.from_numpy(found.references).to(references))


def choose_head(model: FoundationModel, card: ModelCard, graphs: PackedGraphs) -> str | None:
    """The pretrained head that is closest to some training structures; None if none covers them.

    Closest in forces, where there are such labels, else in energies after a fit of references.

    Args:
        model: has the heads.
        card: says which elements a head has seen.
        graphs: labeled training structures.
    """
    symbols = {chemical_symbols[z] for z in np.flatnonzero(composition(graphs).any(axis=0))}
    heads = [name for name, info in card.heads.items() if symbols <= set(info.elements)]
    if not heads:
        return None
    some = np.linspace(0, len(graphs) - 1, min(len(graphs), MOST_STRUCTURES)).round()
    chosen = graphs.select(np.unique(some.astype(np.int64)))
    has_forces = bool(torch.isfinite(chosen.columns["forces"]).any())
    parts = list(_predictions(model, heads, chosen, has_forces))
    errors = _force_errors if has_forces else _energy_errors
    found = errors(parts, heads, chosen)
    return min(found, key=lambda name: found[name])


def _force_errors(
    parts: Sequence[Mapping[str, Prediction]], heads: Sequence[str], graphs: PackedGraphs
) -> dict[str, float]:
    labels = graphs.columns["forces"]
    result = {}
    for head in heads:
        forces = torch.cat([part[head].forces.cpu() for part in parts])  # type: ignore[union-attr]
        result[head] = float((forces - labels).abs().nanmean())
    return result


def _energy_errors(
    parts: Sequence[Mapping[str, Prediction]], heads: Sequence[str], graphs: PackedGraphs
) -> dict[str, float]:
    labels, counts = graphs.columns["energy"].numpy(), composition(graphs)
    result = {}
    for head in heads:
        energies = np.concatenate([part[head].energy.cpu().numpy() for part in parts])
        rest = labels - energies
        left = (rest - counts @ fit_references(counts, rest)) / counts.sum(axis=1)
        result[head] = float(np.abs(left).mean())
    return result


def _predictions(
    model: FoundationModel, heads: Sequence[str], graphs: PackedGraphs, forces: bool
) -> list[dict[str, Prediction]]:
    """Batch by batch, in the order of `graphs`."""
    device = next(model.backbone.parameters()).device
    want = ("energy", "forces") if forces else ("energy",)
    index = np.arange(len(graphs))
    return [
        predict_heads(model, graphs.take(batch)[0].to(device), heads, want)
        for batch in fixed_batches(index, (graphs.n_atoms, graphs.n_edges), LIMITS)
    ]
