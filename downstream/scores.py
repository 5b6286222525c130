"""How good a fitted model is on held-out structures: metrics, parity, errors per element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.models.derivatives import predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.sample import Sample
from atomfm_calc.units import GPA
from downstream.labeled import pack_samples
from downstream.recipe import Potential, Recipe, Target
from downstream.reuse import LIMITS
from training.data.batching import fixed_batches
from training.data.packed import PackedGraphs

Floats = NDArray[np.float64]
Scores = dict[str, Any]
"""`metrics` (name with unit -> value), `primary` (name), `lower_is_better`, `per_element` (symbol
-> error, number of structures), `parity` (panel -> unit, label, predicted), and of classes
`calibration`. Plain values that JSON can hold."""
MOST_POINTS = 1000
"""Of a parity plot."""
N_BINS = 10
"""Of a calibration plot."""
ROUND = 6
"""Digits of what is kept for plots."""


def score(model: FoundationModel, recipe: Recipe, test: Sequence[Sample], train: Scores) -> Scores:
    """Test a fitted model.

    Args:
        model: frozen.
        recipe: what it has learned.
        test: held-out structures.
        train: property -> mean of the training labels, the baseline.
    """
    graphs = pack_samples(test, model.cutoff)
    if recipe.potential is not None:
        return score_potential(model, recipe.potential, graphs)
    result: Scores = {"metrics": {}, "parity": {}, "per_element": {}, "lower_is_better": True}
    values = property_values(model, graphs, tuple(recipe.targets))
    for name, target in recipe.targets.items():
        labels = [sample.targets.get(name) for sample in test]
        found = _score_property(name, target, labels, values[name], train.get(name))
        errors = found.pop("errors")
        if not result["per_element"]:
            result["per_element"] = _per_element(test, errors)
            result["primary"] = found["primary"]
            result["lower_is_better"] = not target.classes
        for key in ("metrics", "parity"):
            result[key] |= found[key]
        if "calibration" in found:
            result["calibration"] = found["calibration"]
    return result


def property_values(
    model: FoundationModel, graphs: PackedGraphs, names: Sequence[str]
) -> dict[str, list[Floats]]:
    """Property -> value of each structure: [], [N], or probabilities [classes]."""
    result: dict[str, list[Floats]] = {name: [] for name in names}
    for batch in _batches(graphs):
        graph = graphs.take(batch)[0].to(_device(model))
        with torch.no_grad():
            learned = model.properties(graph, names)
        for name in names:
            head = model.property_head(name)
            value = head.value(learned[name]).cpu().numpy()
            if head.config.kind == "atom-scalar":
                result[name] += np.split(value, np.cumsum(graph.n_atoms.tolist())[:-1])
            else:
                result[name] += list(value)
    return result


def score_potential(model: FoundationModel, potential: Potential, graphs: PackedGraphs) -> Scores:
    """Errors of an energy head: energies per atom, forces, stress."""
    want: tuple[str, ...] = potential.labels
    if not bool(graphs.columns["pbc"].all(dim=1).any()):
        want = tuple(name for name in want if name != "stress")
    parts: dict[str, list[Floats]] = {name: [] for name in want}
    for batch in _batches(graphs):
        graph = graphs.take(batch)[0].to(_device(model))
        prediction = predict(model.energy_of(potential.head), graph, want)
        for name in want:
            parts[name].append(getattr(prediction, name).cpu().numpy().astype(np.float64))
    predicted = {name: np.concatenate(values) for name, values in parts.items()}
    label = {name: graphs.columns[name].numpy().astype(np.float64) for name in want}
    n_atoms = graphs.n_atoms
    metrics: dict[str, float] = {}
    parity: dict[str, Any] = {}
    energy = (predicted["energy"] - label["energy"]) / n_atoms
    _add(metrics, "energy MAE, meV/atom", 1e3 * energy)
    _add(metrics, "energy MAE, meV", 1e3 * energy * n_atoms)
    shift = np.nanmean(label["energy"] / n_atoms)
    parity["energy per atom above the mean"] = _parity(
        "eV/atom", label["energy"] / n_atoms - shift, predicted["energy"] / n_atoms - shift
    )
    errors = np.abs(energy)
    if "forces" in want:
        difference = predicted["forces"] - label["forces"]
        _add(metrics, "forces MAE, meV/Å", 1e3 * difference)
        _add(metrics, "mean absolute force component, meV/Å", 1e3 * label["forces"])
        parity["force components"] = _parity("eV/Å", label["forces"], predicted["forces"])
    if "stress" in want:
        _add(metrics, "stress MAE, GPa", (predicted["stress"] - label["stress"]) / GPA)
    primary = "forces MAE, meV/Å" if "forces" in want else "energy MAE, meV/atom"
    per_element = (
        _force_errors(graphs, difference) if "forces" in want else _graph_errors(graphs, errors)
    )
    return {
        "metrics": metrics,
        "primary": primary,
        "lower_is_better": True,
        "parity": parity,
        "per_element": per_element,
    }


def roc_auc(is_member: NDArray[np.bool_], probability: Floats) -> float:
    """Chance that a member has a larger probability than a non-member; ties count half.

    The Mann-Whitney statistic over all pairs; NaN if there are none.
    """
    order = np.argsort(probability, kind="stable")
    ranks = np.empty(len(order))
    _, start = np.unique(probability[order], return_index=True)
    ends = np.append(start[1:], len(order))
    for first, end in zip(start, ends, strict=True):
        ranks[order[first:end]] = 0.5 * (first + end + 1)
    n, total = int(is_member.sum()), len(is_member)
    if n in (0, total):
        return float("nan")
    return float((ranks[is_member].sum() - n * (n + 1) / 2) / (n * (total - n)))


def _score_property(
    name: str,
    target: Target,
    labels: Sequence[Floats | None],
    values: Sequence[Floats],
    mean: float | None,
) -> Scores:
    """One property; `errors` has one number per structure, NaN without a label."""
    if target.classes:
        return _score_classes(name, target, labels, values)
    pairs = [
        (np.ravel(a), np.ravel(b)) for a, b in zip(labels, values, strict=True) if a is not None
    ]
    label = np.concatenate([pair[0] for pair in pairs])
    predicted = np.concatenate([pair[1] for pair in pairs])
    error, unit = predicted - label, target.unit
    metrics: dict[str, float] = {}
    _add(metrics, f"{name} MAE, {unit}", error)
    metrics[f"{name} RMSE, {unit}"] = float(np.sqrt(np.mean(error**2)))
    if np.ptp(label) > 0.0:
        metrics[f"{name} R²"] = float(1.0 - np.mean(error**2) / np.var(label))
    if mean is not None:
        metrics[f"{name} MAE of the training mean, {unit}"] = float(np.mean(np.abs(label - mean)))
    errors = [
        np.nan if a is None else float(np.mean(np.abs(np.asarray(a) - b)))
        for a, b in zip(labels, values, strict=True)
    ]
    return {
        "metrics": metrics,
        "primary": f"{name} MAE, {unit}",
        "parity": {name: _parity(unit, label, predicted)},
        "errors": np.array(errors),
    }


def _score_classes(
    name: str, target: Target, labels: Sequence[Floats | None], values: Sequence[Floats]
) -> Scores:
    pairs = [(int(a), b) for a, b in zip(labels, values, strict=True) if a is not None]
    place = np.array([pair[0] for pair in pairs])
    probability = np.stack([pair[1] for pair in pairs])  # [S, classes]
    said = probability.argmax(axis=1)
    right = said == place
    present = np.unique(place)
    own = probability[np.arange(len(place)), place]
    areas = [roc_auc(place == k, probability[:, k]) for k in range(len(target.classes))]
    # with two classes both areas are the same
    metrics = {
        f"{name} ROC-AUC": float(np.nanmean(areas)) if len(present) > 1 else float("nan"),
        f"{name} accuracy": float(right.mean()),
        f"{name} balanced accuracy": float(np.mean([right[place == k].mean() for k in present])),
        f"{name} log loss": float(-np.log(np.clip(own, 1e-12, 1.0)).mean()),
    }
    bins = _calibration(probability.max(axis=1), right)
    metrics[f"{name} calibration error"] = float(
        sum(n * abs(mean - part) for mean, part, n in bins) / len(place)
    )
    auc_known = np.isfinite(metrics[f"{name} ROC-AUC"])
    metrics = {key: value for key, value in metrics.items() if np.isfinite(value)}
    wrong = [
        np.nan if a is None else float(1.0 - b[int(a)]) for a, b in zip(labels, values, strict=True)
    ]
    return {
        "metrics": metrics,
        "primary": f"{name} ROC-AUC" if auc_known else f"{name} accuracy",
        "parity": {},
        "calibration": {"classes": list(target.classes), "bins": bins},
        "errors": np.array(wrong),
    }


def _calibration(confidence: Floats, right: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """Mean confidence, part that is right, and number, of each bin that is not empty."""
    place = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    return [
        (
            float(confidence[place == k].mean()),
            float(right[place == k].mean()),
            int((place == k).sum()),
        )
        for k in np.unique(place)
    ]


def _add(metrics: dict[str, float], name: str, error: Floats) -> None:
    if np.isfinite(error).any():
        metrics[name] = float(np.nanmean(np.abs(error)))


def _parity(unit: str, label: Floats, predicted: Floats) -> dict[str, Any]:
    """Points for a plot, evenly chosen of all."""
    flat = np.stack([label.reshape(-1), predicted.reshape(-1)])
    flat = flat[:, np.isfinite(flat).all(axis=0)]
    some = np.unique(np.linspace(0, flat.shape[1] - 1, MOST_POINTS).round().astype(int))
    label, predicted = flat[:, some] if flat.shape[1] > MOST_POINTS else flat
    return {
        "unit": unit,
        "label": np.round(label, ROUND).tolist(),
        "predicted": np.round(predicted, ROUND).tolist(),
    }


def _per_element(samples: Sequence[Sample], errors: Floats) -> dict[str, Any]:
    """Mean error of the structures that contain each element."""
    found: dict[int, list[float]] = {}
    for sample, error in zip(samples, errors, strict=True):
        if np.isfinite(error):
            for number in np.unique(sample.atomic_numbers).tolist():
                found.setdefault(number, []).append(float(error))
    return _table(found)


def _graph_errors(graphs: PackedGraphs, errors: Floats) -> dict[str, Any]:
    found: dict[int, list[float]] = {}
    for place in range(len(graphs)):
        if np.isfinite(errors[place]):
            for number in np.unique(graphs.numbers_of(place)).tolist():
                found.setdefault(number, []).append(1e3 * float(errors[place]))
    return _table(found)


def _force_errors(graphs: PackedGraphs, difference: Floats) -> dict[str, Any]:
    """Mean |error of a force component| of the atoms of each element, meV/Å."""
    numbers = graphs.columns["atomic_numbers"].numpy()
    mean = 1e3 * np.abs(difference).mean(axis=1)
    known = np.isfinite(mean)
    return _table(
        {int(z): mean[known & (numbers == z)].tolist() for z in np.unique(numbers[known])}
    )


def _table(found: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    return {
        chemical_symbols[number]: {"error": float(np.mean(values)), "n": len(values)}
        for number, values in sorted(found.items())
    }


def _batches(graphs: PackedGraphs) -> Iterator[NDArray[np.int64]]:
    yield from fixed_batches(np.arange(len(graphs)), (graphs.n_atoms, graphs.n_edges), LIMITS)


def _device(model: FoundationModel) -> torch.device:
    return next(model.backbone.parameters()).device
