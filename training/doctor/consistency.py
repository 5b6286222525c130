"""Do energies, forces and stress belong together? By near-duplicates, and by volumes."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.units import GPA
from training.doctor.examined import Examined
from training.doctor.factors import ENERGY_PER_WORK, STRESS_FACTOR, explain
from training.doctor.pairs import Pairs, find_pairs
from training.doctor.report import Finding, Verdict
from training.doctor.slopes import MIN_PAIRS, Slope, fit_slope, fit_two_slopes

LARGE, SMALL = 1.4, 1.15
"""Slopes beyond these, or their inverses, are wrong or suspicious."""
OTHER_PHASES = 0.85
"""Correlation that is needed where structures of one composition may be different crystals."""
LARGE_STRESS = 1.25
"""eV/Å³, 200 GPa."""
NOISE_RMSD = 0.03
"""Å; changes of energy over smaller displacements are lost in the noise of the labels."""
STIFFNESS = 5.0
"""eV/Å²; times atoms and displacement squared: more than any anharmonicity takes."""
SMALLEST_ODDITY = 0.1
"""eV; less is left to convergence."""

Floats = NDArray[np.float64]


def check_work(file: Examined) -> list[Finding]:
    """Changes of energy between near-duplicates against the work of forces and of stress."""
    pairs = find_pairs(file)
    strained = pairs.strain_work != 0.0
    both = (1.0, 1.0)
    if strained.sum() >= MIN_PAIRS:
        both = fit_two_slopes(*(x[strained] for x in (pairs.change, pairs.work, pairs.strain_work)))
    forces = _forces_slope(pairs, both[1])
    findings = _judge_forces(file, pairs, forces)
    if np.isfinite(file.stresses).any():
        rest = pairs.change - both[0] * pairs.work
        stress = fit_slope(rest[strained], pairs.strain_work[strained])
        findings.append(_judge_stress(file, pairs, stress, forces))
    return findings


def _forces_slope(pairs: Pairs, stress_slope: float) -> Slope:
    """From pairs of equal cells if there are enough, else without the work of the stress."""
    still = np.abs(pairs.strain_work) < 0.05 * np.abs(pairs.work)
    if still.sum() < MIN_PAIRS:
        still = np.ones(len(pairs), dtype=bool)
    weight = weights_of(pairs)[still]
    rest = (pairs.change - stress_slope * pairs.strain_work)[still]
    return fit_slope(weight * rest, weight * pairs.work[still])


def check_stress(file: Examined) -> list[Finding]:
    """Symmetry and size of the stress."""
    labeled = np.asarray(np.isfinite(file.stresses).all(axis=(1, 2)))
    if not labeled.any():
        return []
    check = "stress"
    stress = np.where(labeled[:, None, None], file.stresses, 0.0)
    size = np.abs(stress).max(axis=(1, 2))
    uneven = np.abs(stress - np.swapaxes(stress, 1, 2)).max(axis=(1, 2)) > 0.02 * size + 1e-4
    findings = []
    if uneven.any():
        findings.append(
            Finding(
                check=check,
                verdict="suspicious",
                message=f"the stress is not symmetric in {int(uneven.sum())} rows",
                rows=file.rows_where(uneven),
                advice="six numbers are read in ASE's order xx, yy, zz, yz, xz, xy",
            )
        )
    typical = float(np.median(size[labeled]))
    if typical > LARGE_STRESS:
        findings.append(
            Finding(
                check=check,
                verdict="suspicious",
                message=f"the largest component is typically {typical:.3g} eV/Å³, "
                f"{typical / GPA:.4g} GPa",
                rows=file.rows_where(labeled),
                advice="look at the unit of the stress: --units stress=kbar or stress=GPa",
            )
        )
    return findings


def weights_of(pairs: Pairs) -> Floats:
    """[P], such that a change of energy is of the same size in close and less close pairs."""
    return np.asarray(1.0 / (pairs.rmsd**2 + NOISE_RMSD**2))


def rows_of(file: Examined, pairs: Pairs) -> tuple[int, ...]:
    """Places in the file of all structures in pairs."""
    index = np.unique(np.concatenate([pairs.first, pairs.second]))
    return tuple(int(number) for number in file.numbers[index])


def _why_not(slope: Slope) -> str:
    if slope.n_pairs < MIN_PAIRS:
        return "too few structures that are nearly the same"
    return f"energy follows the work only loosely (correlation {slope.correlation:.2f})"


def _verdict(slope: Slope) -> Verdict:
    if slope.is_off_by(LARGE):
        return "wrong"
    return "suspicious" if slope.is_off_by(SMALL) else "ok"


def _judge_forces(file: Examined, pairs: Pairs, slope: Slope) -> list[Finding]:
    check = "energies and forces"
    if not slope.is_trusted:
        return [Finding(check=check, verdict="ok", message=f"cannot be told: {_why_not(slope)}")]
    verdict = _verdict(slope)
    message = f"energy changes by {slope.value:.4g} of the work of the forces"
    counts = f"{slope.n_pairs} pairs of nearly equal structures"
    if verdict == "ok":
        agreed = Finding(check=check, verdict=verdict, message=f"{message}; {counts}")
        return [agreed, *_odd_rows(check, file, pairs)]
    causes = ["gradients stand in place of forces: minus sign"] if slope.value < 0.0 else []
    factor = abs(slope.value)
    if slope.value > 0.0 or abs(math.log(factor)) > math.log(LARGE):
        causes.append(explain(factor, ENERGY_PER_WORK, 0.2) or "a factor of no known unit")
    return [
        Finding(
            check=check,
            verdict=verdict,
            message=f"{message}, it must be 1; {counts}",
            rows=rows_of(file, pairs),
            advice=f"probably {'; '.join(causes)}. Declare the units: --units energy=... "
            "--units forces=...",
        )
    ]


def _judge_stress(file: Examined, pairs: Pairs, slope: Slope, forces: Slope) -> Finding:
    check, source, rows = "stress", "strained copies", rows_of(file, pairs)
    if not slope.is_trusted:
        slope, rows = _volume_slope(file)
        source = "cells of one composition"
        if not slope.is_trusted or abs(slope.correlation) < OTHER_PHASES:
            message = f"sign and unit cannot be told: {_why_not(slope)}"
            return Finding(check=check, verdict="ok", message=message)
    verdict = _verdict(slope)
    message = f"energy changes by {slope.value:.4g} of the work of the stress"
    counts = f"{slope.n_pairs} pairs of {source}"
    if verdict == "ok":
        return Finding(check=check, verdict=verdict, message=f"{message}; {counts}")
    ratio = slope.value / forces.value if forces.is_trusted else 0.0
    as_forces = ratio > 0.0 and abs(math.log(ratio)) < math.log(LARGE)
    return Finding(
        check=check,
        verdict=verdict,
        message=f"{message}, it must be 1; {counts}",
        rows=rows,
        advice="as with the forces, so it is the unit of the energies"
        if as_forces
        else stress_advice(1.0 / slope.value),
    )


def stress_advice(factor: float, tolerance: float = 0.35) -> str:
    """What to declare for a stress that is `factor` times what it should be, roughly."""
    causes = ["compression is positive (as VASP prints)"] if factor < 0.0 else []
    if abs(math.log(abs(factor))) > math.log(1.0 + tolerance):
        causes.append(explain(factor, STRESS_FACTOR, tolerance) or "it is off by no known unit")
    sign = " stress_sign=compression" if factor < 0.0 else ""
    return f"probably {'; '.join(causes)}. Declare it: --units stress=...{sign}"


def _odd_rows(check: str, file: Examined, pairs: Pairs) -> list[Finding]:
    """Rows whose energy does not follow the work in most of their pairs."""
    residual = np.abs(pairs.change - pairs.work - pairs.strain_work)
    curved = STIFFNESS * file.n_atoms[pairs.first] * pairs.rmsd**2
    allowed = np.maximum(curved + 0.3 * np.abs(pairs.strain_work), SMALLEST_ODDITY)
    off: dict[int, list[bool]] = defaultdict(list)
    size: dict[int, float] = defaultdict(float)
    for members in (pairs.first, pairs.second):
        for index, value, limit in zip(members.tolist(), residual, allowed, strict=True):
            off[index].append(bool(value > limit))
            size[index] = max(size[index], float(value))
    odd = [index for index, each in off.items() if len(each) >= 3 and np.mean(each) > 0.6]
    if not odd or len(odd) > 0.1 * len(off):
        return []
    largest = max(size[index] for index in odd)
    return [
        Finding(
            check=check,
            verdict="wrong",
            message=f"{len(odd)} rows are off by up to {largest:.3g} eV from what the forces of "
            "nearly equal structures say",
            rows=tuple(sorted(int(file.numbers[index]) for index in odd)),
            advice="compute them again or take them out: not converged, or labels of another row",
        )
    ]


def _volume_slope(file: Examined) -> tuple[Slope, tuple[int, ...]]:
    """dE/dV of neighboring volumes of one composition against minus the pressure."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    labeled = np.isfinite(file.energies) & np.isfinite(file.stresses).all(axis=(1, 2))
    for index in np.flatnonzero(labeled & np.isfinite(file.volumes)):
        groups[(file.compositions[index], int(file.n_atoms[index]))].append(int(index))
    trace = np.trace(file.stresses, axis1=1, axis2=2) / 3.0
    change, work, used = [], [], []
    for members in groups.values():
        order = np.array(members)[np.argsort(file.volumes[members])]
        step = np.diff(file.volumes[order])
        near = (step > 2e-3 * file.volumes[order[:-1]]) & (step < 0.08 * file.volumes[order[:-1]])
        mean = 0.5 * (trace[order[1:]] + trace[order[:-1]])
        change.append(np.diff(file.energies[order])[near])
        work.append((mean * step)[near])
        used += [*order[:-1][near], *order[1:][near]]
    if not change:
        return Slope(math.nan, 0.0, 0), ()
    rows = tuple(sorted({int(file.numbers[index]) for index in used}))
    return fit_slope(np.concatenate(change), np.concatenate(work)), rows
