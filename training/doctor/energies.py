"""Are energies and forces of a plausible size, and which rows stand out?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.units import ENERGY_UNITS
from training.data.statistics import fit_references
from training.doctor.examined import Examined
from training.doctor.report import Finding

LIGHT = 36
"""Atomic number up to which the estimate of an atom's energy is better than a percent or so."""
TOLERANCE = 0.03
"""Of the estimate of atoms' energies, relative; units differ by much more."""
LARGE_RESIDUAL = 5.0
"""eV/atom; spread of energies around their element references that no chemistry has."""
LARGE_FORCE = 50.0
"""eV/Å; training leaves out structures with a larger force."""
LARGE_RMS_FORCE = 15.0
"""eV/Å; root mean square over a file."""
OUTLYING = 15.0
"""Robust standard deviations."""
MIN_ROWS = 10

Floats = NDArray[np.float64]


def atom_energies() -> Floats:
    """Estimated energy of the isolated atom with all electrons in eV by atomic number [119].

    Source: B.-G. Englert and J. Schwinger, Phys. Rev. A 32, 47 (1985): Thomas-Fermi, Scott and
    exchange terms in hartree; hydrogen is -1/2.
    """
    z = np.arange(119.0)
    hartrees = -0.7687 * z ** (7 / 3) + 0.5 * z**2 - 0.2699 * z ** (5 / 3)
    hartrees[1] = -0.5
    return np.asarray(hartrees * ENERGY_UNITS["hartree"])


def check_energy_scale(file: Examined) -> list[Finding]:
    """Energies against all-electron energies of atoms and the spread that chemistry has."""
    check = "energy scale"
    labeled = np.isfinite(file.energies)
    if not labeled.any():
        return []
    findings = _all_electron(check, file, labeled) + _per_atom(check, file, labeled)
    spread = _spread(residuals(file)[labeled])
    message = f"{spread:.3g} eV/atom around element references"
    if spread > LARGE_RESIDUAL:
        findings.append(
            Finding(
                check=check,
                verdict="suspicious",
                message=f"energies spread by {message}; chemistry has less than {LARGE_RESIDUAL}",
                rows=file.rows_where(labeled),
                advice="look at the unit of the energies (kcal/mol? kJ/mol?) and at mixed sources",
            )
        )
    return findings or [Finding(check=check, verdict="ok", message=message)]


def check_forces_scale(file: Examined) -> list[Finding]:
    """Forces that are too large, or all zero."""
    check = "forces scale"
    labeled = np.isfinite(file.rms_forces)
    if not labeled.any():
        return []
    rms = float(np.sqrt(np.mean(file.rms_forces[labeled] ** 2)))
    zero = labeled & (file.rms_forces == 0.0) & (file.n_atoms > 2)
    findings = []
    if rms > LARGE_RMS_FORCE:
        findings.append(
            Finding(
                check=check,
                verdict="suspicious",
                message=f"rms of the force components is {rms:.3g} eV/Å",
                rows=file.rows_where(labeled),
                advice="look at the unit of the forces (kcal/mol/Å? kJ/mol/nm?)",
            )
        )
    if zero.sum() > 0.5 * labeled.sum():
        findings.append(
            Finding(
                check=check,
                verdict="suspicious",
                message=f"all forces are exactly zero in {int(zero.sum())} rows",
                rows=file.rows_where(zero),
                advice="if they were not computed, leave them out: zero is a label",
            )
        )
    return findings or [Finding(check=check, verdict="ok", message=f"rms {rms:.3g} eV/Å")]


def check_net_force(file: Examined) -> list[Finding]:
    """Forces that do not add up to zero: fixed atoms, truncated output, an outer field."""
    net, size = [], []
    for sample in file.samples:
        forces = sample.targets.get("forces")
        if forces is None:
            net.append(np.nan)
            size.append(np.nan)
        else:
            net.append(float(np.linalg.norm(forces.sum(axis=0))) / sample.n_atoms)
            size.append(float(np.sqrt(np.mean(forces**2))))
    values, sizes = np.array(net), np.array(size)
    if not np.isfinite(values).any():
        return []
    bad = (values > np.maximum(0.02, 0.1 * sizes)) & (file.n_atoms > 1)
    lone = (values > 0.02) & (file.n_atoms == 1)
    bad |= lone
    typical = float(np.nanmedian(values))
    if not bad.any():
        message = f"typically {typical:.2g} eV/Å per atom"
        return [Finding(check="net force", verdict="ok", message=message)]
    return [
        Finding(
            check="net force",
            verdict="suspicious",
            message=f"forces do not add up to zero in {int(bad.sum())} rows: up to "
            f"{float(np.max(values[bad])):.3g} eV/Å per atom",
            rows=file.rows_where(bad),
            advice="fixed atoms whose forces were set to zero? A conservative model cannot learn "
            "these; take the forces before constraints are applied",
        )
    ]


def check_outliers(file: Examined) -> list[Finding]:
    """Energies far from their element references, and forces far above the others'."""
    findings = _energy_outliers(file) + _force_outliers(file)
    return findings or [Finding(check="outliers", verdict="ok", message="no row stands out")]


def residuals(file: Examined) -> Floats:
    """Energy per atom without element references [S] in eV, NaN where there is no label.

    References are fitted twice, the second time without the rows that are far off. Where a
    composition and charge has enough rows, its own median is the reference.
    """
    energies, counts = file.energies, file.counts
    result = np.full(len(energies), np.nan)
    labeled = np.flatnonzero(np.isfinite(energies))
    if len(labeled) == 0:
        return result
    kept = labeled
    for _ in range(2):
        references = fit_references(counts[kept], energies[kept])
        result[labeled] = ((energies - counts @ references) / file.n_atoms)[labeled]
        scores = np.abs(result[labeled] - np.median(result[labeled]))
        kept = labeled[scores <= OUTLYING * 1.4826 * np.median(scores) + 1e-9]
    states = [
        f"{name} {s.charge} {s.multiplicity} {s.n_atoms} {s.pbc}"
        for name, s in zip(file.compositions, file.samples, strict=True)
    ]
    _, member = np.unique(np.array(states), return_inverse=True)
    for state in np.unique(member[labeled]):
        own = labeled[member[labeled] == state]
        if len(own) >= MIN_ROWS:
            result[own] -= float(np.median(result[own]))
    return result


def _all_electron(check: str, file: Examined, labeled: NDArray[np.bool_]) -> list[Finding]:
    """Energies that are all-electron totals of light atoms, but in another unit than eV."""
    heaviest = np.array([sample.atomic_numbers.max() for sample in file.samples])
    mixed = np.array([sample.atomic_numbers.max() > 2 for sample in file.samples])
    light = labeled & (heaviest <= LIGHT) & mixed
    if light.sum() < 3:
        return []
    ratio = file.energies[light] / (file.counts[light] @ atom_energies())
    middle = float(np.median(ratio))
    if middle <= 0.0 or np.median(np.abs(ratio - middle)) > 0.01 * middle:
        return []
    for unit, factor in ENERGY_UNITS.items():
        if abs(math.log(middle * factor)) < TOLERANCE:
            if unit == "eV":
                message = "all-electron totals in eV"
                return [Finding(check=check, verdict="ok", message=message)]
            return [
                Finding(
                    check=check,
                    verdict="wrong",
                    message=f"energies are those of all-electron atoms in {unit}, not eV",
                    rows=file.rows_where(light),
                    advice=f"declare it: --units energy={unit}, and the unit of the forces",
                )
            ]
    return []


def _per_atom(check: str, file: Examined, labeled: NDArray[np.bool_]) -> list[Finding]:
    """Energies per atom that were taken for totals: they do not grow with the structure."""
    if len(np.unique(file.n_atoms[labeled])) < 3 or labeled.sum() < 3 * MIN_ROWS:
        return []
    fractions = file.counts[labeled] / file.n_atoms[labeled, None]
    seen = fractions.any(axis=0)
    unexplained = []
    for values in (file.energies[labeled] / file.n_atoms[labeled], file.energies[labeled]):
        solution, *_ = np.linalg.lstsq(fractions[:, seen], values, rcond=None)
        rest = values - fractions[:, seen] @ solution
        unexplained.append(float(np.mean(rest**2)) / max(float(np.mean(values**2)), 1e-30))
    total, per_atom = unexplained
    if per_atom > 0.05 * total:
        return []
    return [
        Finding(
            check=check,
            verdict="wrong",
            message="energies do not grow with the number of atoms: they look like energies per "
            "atom, not totals",
            rows=file.rows_where(labeled),
            advice="write the total energy of the cell or molecule",
        )
    ]


def _spread(values: Floats) -> float:
    """Robust standard deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _energy_outliers(file: Examined) -> list[Finding]:
    values = residuals(file)
    labeled = np.isfinite(values)
    if labeled.sum() < MIN_ROWS:
        return []
    middle, spread = float(np.median(values[labeled])), _spread(values[labeled])
    distance = np.abs(values - middle)
    # hot, strained and colliding structures are far off as well, but their forces show it
    excused = 0.5 * np.nan_to_num(file.rms_forces, nan=0.0)
    far = labeled & (distance > np.maximum(OUTLYING * spread, 0.3) + excused)
    if not far.any() or far.sum() > 0.05 * labeled.sum():
        return []
    worst = float(np.max(distance[far]))
    hopeless = far & (distance > np.maximum(50.0 * spread, 5.0) + excused)
    return [
        Finding(
            check="outliers",
            verdict="wrong" if hopeless.any() else "suspicious",
            message=f"energies of {int(far.sum())} rows are up to {worst:.3g} eV/atom from the "
            f"others of their elements, which spread by {spread:.3g}",
            rows=file.rows_where(far),
            advice="not converged, another setting, or another structure's energy? Otherwise keep",
        )
    ]


def _force_outliers(file: Examined) -> list[Finding]:
    largest = np.array(
        [np.abs(s.targets["forces"]).max() if "forces" in s.targets else 0.0 for s in file.samples]
    )
    far = largest > LARGE_FORCE
    labeled = file.rms_forces > 0.0
    if labeled.sum() >= MIN_ROWS:
        logs = np.log(np.where(labeled, file.rms_forces, 1.0))
        middle, spread = float(np.median(logs[labeled])), _spread(logs[labeled])
        far |= labeled & (logs - middle > max(6.0 * spread, math.log(8.0))) & (largest > 10.0)
    if not far.any() or far.sum() > 0.3 * max(int(labeled.sum()), 1):
        return []
    return [
        Finding(
            check="outliers",
            verdict="suspicious",
            message=f"forces in {int(far.sum())} rows reach {float(largest.max()):.3g} eV/Å, far "
            "above the others",
            rows=file.rows_where(far),
            advice="colliding atoms, or forces in another unit; training leaves out structures "
            "above data.max_force",
        )
    ]
