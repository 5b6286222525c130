"""A file's forces and stresses beside those of a trained model: another unit or sign shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.models.derivatives import predict
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.registry.card import HeadInfo
from atomfm_calc.registry.catalog import LoadedModel
from atomfm_calc.sample import Sample
from training.doctor.consistency import stress_advice
from training.doctor.examined import Examined
from training.doctor.factors import FORCE_FACTOR, explain
from training.doctor.report import Finding, Verdict

CHECK = "model"
MAX_STRUCTURES = 40
MAX_ATOMS = 200
"""Of a structure that is compared."""
MAX_ATOMS_IN_ALL = 2000
MIN_STRUCTURES = 8
SIMILAR = 0.75
"""Correlation from which a factor between file and model counts."""
FAR, VERY_FAR = 2.0, 4.0
"""Factors, up or down, that another level of theory hardly explains, and does not explain."""
SMALL_FORCE = 0.05
"""eV/Å; rms below which forces are those of relaxed structures and compare to nothing."""
SMALL_STRESS = 3e-3
"""eV/Å³, likewise."""

Floats = NDArray[np.float64]
Compared = list[tuple[Floats, Floats]]
"""For each structure, the file's numbers and the model's, flat."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """What the file says over what the model says."""

    factor: float
    """Multiplies the model's numbers; its sign is that of the correlation."""
    correlation: float
    """Between the two."""


def compare_with_model(file: Examined, loaded: LoadedModel) -> list[Finding]:
    """Forces and stresses of up to 40 rows, each against the head that knows most of them."""
    findings = [
        _compare(file, loaded, label, smallest)
        for label, smallest in (("forces", SMALL_FORCE), ("stress", SMALL_STRESS))
        if any(label in sample.targets for sample in file.samples)
    ]
    message = "nothing to compare: neither forces nor stress"
    return findings or [Finding(check=CHECK, verdict="ok", message=message)]


def _compare(file: Examined, loaded: LoadedModel, label: str, smallest: float) -> Finding:
    head, members = choose_head(file, loaded, label)
    name = f"{loaded.card.label}, head {head}"
    if len(members) < MIN_STRUCTURES:
        message = (
            f"{label} cannot be told: {loaded.card.label} covers elements, charge and "
            f"periodicity of {len(members)} labeled rows"
        )
        return Finding(check=CHECK, verdict="ok", message=message)
    affordable = int(MAX_ATOMS_IN_ALL / file.n_atoms[members].mean())
    n_chosen = min(len(members), MAX_STRUCTURES, max(affordable, MIN_STRUCTURES))
    chosen = members[np.linspace(0, len(members) - 1, n_chosen).astype(int)]
    scale = _scale(_both(file, chosen, loaded, head, label), smallest)
    if scale is None:
        message = f"{label} cannot be told: not alike in file and {name}, or too small"
        return Finding(check=CHECK, verdict="ok", message=message)
    return _judge(label, scale, name, tuple(int(number) for number in file.numbers[chosen]))


def choose_head(file: Examined, loaded: LoadedModel, label: str) -> tuple[str, NDArray[np.int64]]:
    """The head that was trained on structures like most labeled rows, and these rows [of S].

    Among heads that cover equally many: for forces the default head, for stress the one with most
    stress labels.
    """
    default = loaded.card.default_head
    best: tuple[tuple[int, int], str, NDArray[np.int64]] | None = None
    for name, info in loaded.card.heads.items():
        n_labels = info.labels.get(label, 0)
        covered = [
            n_labels > 0
            and label in sample.targets
            and sample.n_atoms <= MAX_ATOMS
            and (label != "stress" or bool(sample.pbc.all()))
            and _covers(info, sample)
            for sample in file.samples
        ]
        members = np.flatnonzero(covered)
        rank = (len(members), n_labels if label == "stress" else name == default)
        if best is None or rank > best[0]:
            best = (rank, name, members)
    if best is None:
        return default, np.zeros(0, dtype=np.int64)
    return best[1], best[2]


def _covers(info: HeadInfo, sample: Sample) -> bool:
    kind = "molecule" if not sample.pbc.any() else f"{int(sample.pbc.sum())}d"
    symbols = {chemical_symbols[number] for number in sample.atomic_numbers}
    return (
        symbols <= set(info.elements) and kind in info.periodicity and sample.charge in info.charges
    )


def _both(
    file: Examined, chosen: NDArray[np.int64], loaded: LoadedModel, head: str, label: str
) -> Compared:
    """The label in the file and from the model, structure by structure."""
    energy_of = loaded.model.energy_of(head)
    compared: Compared = []
    for index in chosen:
        sample = file.samples[int(index)]
        graph = graph_from_sample(sample, loaded.model.cutoff, loaded.model.dtype)
        found = getattr(predict(energy_of, graph, [label]), label)
        own = sample.targets[label]
        compared.append((own.reshape(-1), found.double().numpy().reshape(-1)))
    return compared


def _scale(both: Compared, smallest: float) -> Scale | None:
    """None where the two do not look like the same quantity, or the model's is too small."""
    if len(both) < MIN_STRUCTURES:
        return None
    norms = np.array([[np.sqrt(np.mean(part**2)) for part in pair] for pair in both])  # [S, 2]
    # without the largest, because one colliding pair of atoms would otherwise decide
    near = (norms <= 5.0 * np.median(norms, axis=0)).all(axis=1)
    if np.median(norms[near, 1]) < smallest:
        return None
    own = np.concatenate([pair[0] for pair, kept in zip(both, near, strict=True) if kept])
    model = np.concatenate([pair[1] for pair, kept in zip(both, near, strict=True) if kept])
    both_squares = float(np.sqrt((own**2).sum() * (model**2).sum()))
    if both_squares == 0.0:
        return None
    correlation = float((own * model).sum()) / both_squares
    if abs(correlation) < SIMILAR:
        return None
    size = math.sqrt(float((own**2).sum() / (model**2).sum()))
    return Scale(factor=math.copysign(size, correlation), correlation=correlation)


def _judge(label: str, scale: Scale, name: str, rows: tuple[int, ...]) -> Finding:
    message = (
        f"{label} times {1.0 / scale.factor:.3g} are those of {name} "
        f"(correlation {scale.correlation:.2f}, {len(rows)} rows)"
    )
    size = abs(math.log(abs(scale.factor)))
    if scale.factor > 0.0 and size < math.log(FAR):
        return Finding(check=CHECK, verdict="ok", message=message)
    verdict: Verdict = "wrong" if scale.factor < 0.0 or size > math.log(VERY_FAR) else "suspicious"
    if label == "stress":
        advice = stress_advice(scale.factor, tolerance=0.7)
    else:
        causes = ["gradients stand in place of forces: minus sign"] if scale.factor < 0.0 else []
        if size >= math.log(FAR):
            factor = abs(scale.factor)
            causes.append(explain(factor, FORCE_FACTOR, 0.5) or "a factor of no known unit")
        advice = f"probably {'; '.join(causes)}. Declare it: --units forces=..."
    return Finding(check=CHECK, verdict=verdict, message=message, rows=rows, advice=advice)
