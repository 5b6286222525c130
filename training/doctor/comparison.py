"""A file's forces and stresses beside those of a trained model: another unit or sign shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from training.doctor.report import Finding

MAX_STRUCTURES = 40
MAX_ATOMS = 200
"""Of a structure that is compared."""
MAX_ATOMS_IN_ALL = 2000
MIN_STRUCTURES = 8
SIMILAR = 0.75
"""Correlation from which a factor between file and model counts."""
FAR = 2.0
"""Factor, up or down, that no other level of theory explains."""
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
    """Forces and stresses of up to 40 rows against the head that covers most of the file."""
    check = "model"
    head, members = choose_head(file, loaded)
    label = f"{loaded.card.label}, head {head}"
    if len(members) < MIN_STRUCTURES:
        message = (
            f"cannot be told: {loaded.card.label} covers elements, charge and periodicity of "
            f"{len(members)} labeled rows"
        )
        return [Finding(check=check, verdict="ok", message=message)]
    affordable = int(MAX_ATOMS_IN_ALL / file.n_atoms[members].mean())
    n_chosen = min(len(members), MAX_STRUCTURES, max(affordable, MIN_STRUCTURES))
    chosen = members[np.linspace(0, len(members) - 1, n_chosen).astype(int)]
    forces, stresses = _both(file, chosen, loaded, head)
    rows = tuple(int(number) for number in file.numbers[chosen])
    findings = []
    if scale := _scale(forces, SMALL_FORCE):
        findings.append(_judge(check, "forces", scale, label, rows))
    if scale := _scale(stresses, SMALL_STRESS):
        findings.append(_judge(check, "stress", scale, label, rows))
    if not findings:
        message = f"cannot be told: labels and {label} are not alike, or all forces are small"
        findings.append(Finding(check=check, verdict="ok", message=message))
    return findings


def choose_head(file: Examined, loaded: LoadedModel) -> tuple[str, NDArray[np.int64]]:
    """The head that was trained on structures like most rows, and these rows [positions in S].

    Among heads that cover equally many, one with stress labels if the file has stresses, then the
    default head, then the order of the card.
    """
    wants_stress = bool(np.isfinite(file.stresses).any())
    labeled = np.isfinite(file.rms_forces) & (file.n_atoms <= MAX_ATOMS)
    best: tuple[tuple[int, bool, bool], str, NDArray[np.int64]] | None = None
    for name, info in loaded.card.heads.items():
        covered = [
            bool(ok) and _covers(info, s) for ok, s in zip(labeled, file.samples, strict=True)
        ]
        members = np.flatnonzero(covered)
        stress = wants_stress and bool(info.labels.get("stress", 0))
        rank = (len(members), stress, name == loaded.card.default_head)
        if best is None or rank > best[0]:
            best = (rank, name, members)
    if best is None:
        return loaded.card.default_head, np.zeros(0, dtype=np.int64)
    return best[1], best[2]


def _covers(info: HeadInfo, sample: Sample) -> bool:
    kind = "molecule" if not sample.pbc.any() else f"{int(sample.pbc.sum())}d"
    symbols = {chemical_symbols[number] for number in sample.atomic_numbers}
    return (
        symbols <= set(info.elements) and kind in info.periodicity and sample.charge in info.charges
    )


def _both(
    file: Examined, chosen: Sequence[int] | NDArray[np.int64], loaded: LoadedModel, head: str
) -> tuple[Compared, Compared]:
    """Forces and stresses, each of the file and of the model, structure by structure."""
    energy_of = loaded.model.energy_of(head)
    forces: Compared = []
    stresses: Compared = []
    for index in chosen:
        sample = file.samples[int(index)]
        want = (
            ["forces", "stress"] if "stress" in sample.targets and sample.pbc.all() else ["forces"]
        )
        graph = graph_from_sample(sample, loaded.model.cutoff, loaded.model.dtype)
        result = predict(energy_of, graph, want)
        if result.forces is not None:
            found = result.forces.double().numpy().reshape(-1)
            forces.append((sample.targets["forces"].reshape(-1), found))
        if result.stress is not None:
            found = result.stress[0].double().numpy().reshape(-1)
            stresses.append((sample.targets["stress"].reshape(-1), found))
    return forces, stresses


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


def _judge(check: str, what: str, scale: Scale, label: str, rows: tuple[int, ...]) -> Finding:
    message = (
        f"{what} are {scale.factor:.3g} times those of {label} (correlation "
        f"{scale.correlation:.2f}, {len(rows)} rows)"
    )
    size = abs(scale.factor)
    if scale.factor > 0.0 and abs(math.log(size)) < math.log(FAR):
        return Finding(check=check, verdict="ok", message=message)
    if what == "stress":
        advice = stress_advice(scale.factor)
    else:
        causes = ["gradients stand in place of forces: minus sign"] if scale.factor < 0.0 else []
        if abs(math.log(size)) >= math.log(FAR):
            causes.append(explain(size, FORCE_FACTOR, 0.5) or "a factor of no known unit")
        advice = f"probably {'; '.join(causes)}. Declare it: --units forces=..."
    return Finding(check=check, verdict="wrong", message=message, rows=rows, advice=advice)
