"""Distances, duplicates, cells, charges: what can be said without the labels."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from atomfm_calc.sample import Sample
from training.doctor.examined import Examined
from training.doctor.report import Finding, ranges

NOBLE = (2, 10, 18, 36, 54, 86)
LONG, SHORT = 1.45, 0.6
"""Typical shortest contact of a structure over the covalent radii: 0.7 to 1.3 in Å."""
CLOSE, SAME_PLACE = 0.5, 0.2
"""Contact of a single structure."""
SAME = 3e-6
"""Relative difference of fingerprints: atoms moved by about 1e-3 Å."""
CONFLICT = 2e-3
"""eV/atom between two rows of the same structure."""
LARGE_CONFLICT = 2e-2
"""eV/atom that neither k-points nor convergence explain."""
VACUUM = 8.0
"""Å without atoms along a periodic direction."""


def check_lengths(file: Examined) -> list[Finding]:
    """The shortest contacts against covalent radii: positions in Å, bohr or nm?"""
    check = "positions"
    contact = np.array([s.shortest for s in file.surroundings])
    noble = np.array([np.isin(s.atomic_numbers, NOBLE).any() for s in file.samples], dtype=bool)
    bonded = (contact < 3.0) & ~noble
    if not bonded.any():
        return [Finding(check=check, verdict="ok", message="cannot be told: no bonded atoms")]
    middle = float(np.median(contact[bonded]))
    message = f"shortest distances are typically {middle:.2f} of the sum of covalent radii"
    if SHORT <= middle <= LONG:
        return [Finding(check=check, verdict="ok", message=message)]
    unit = "bohr" if middle > LONG else "nm, or fractional coordinates"
    word = "bohr" if middle > LONG else "nm"
    return [
        Finding(
            check=check,
            verdict="wrong" if bonded.sum() >= 5 else "suspicious",
            message=f"{message}; chemistry has 0.7 to 1.3",
            rows=file.rows_where(bonded),
            advice=f"probably the positions are in {unit}. Declare it: --units length={word}",
        )
    ]


def check_contacts(file: Examined) -> list[Finding]:
    """Single structures with atoms that are too close, or with atoms that are alone."""
    check = "distances"
    contact = np.array([s.shortest for s in file.surroundings])
    close, same = contact < CLOSE, contact < SAME_PLACE
    if close.sum() > 0.5 * len(close):
        return []  # of the file as a whole, which `check_lengths` tells
    alone = np.array([s.n_alone for s in file.surroundings])
    lonely = (alone > 0) & (file.n_atoms > 1)
    findings = []
    if close.any():
        shortest = min(s.distance for s, bad in zip(file.surroundings, close, strict=True) if bad)
        findings.append(
            Finding(
                check=check,
                verdict="wrong" if same.any() else "suspicious",
                message=f"atoms are too close in {int(close.sum())} rows, down to {shortest:.2f} Å",
                rows=file.rows_where(close),
                advice="an atom listed twice, a cell too small, or meant as repulsion",
            )
        )
    if lonely.any():
        findings.append(
            Finding(
                check=check,
                verdict="suspicious",
                message=f"atoms in {int(lonely.sum())} rows have no neighbor within 6 Å",
                rows=file.rows_where(lonely),
                advice="dissociated, or a missing cell; a local model sees these atoms as isolated",
            )
        )
    return findings or [
        Finding(check=check, verdict="ok", message=f"shortest contact {contact.min():.2f} of radii")
        if len(contact)
        else Finding(check=check, verdict="ok", message="no structures")
    ]


def check_duplicates(file: Examined) -> list[Finding]:
    """The same structure twice, and whether its labels agree."""
    groups = duplicate_groups(file)
    conflicting, spread = [], 0.0
    for members in groups:
        energies = file.energies[members] / file.n_atoms[members]
        energies = energies[np.isfinite(energies)]
        width = float(np.ptp(energies)) if len(energies) else 0.0
        if width > CONFLICT:
            conflicting += members
            spread = max(spread, width)
    findings = []
    if conflicting:
        findings.append(
            Finding(
                check="duplicates",
                verdict="wrong" if spread > LARGE_CONFLICT else "suspicious",
                message=f"{len(conflicting)} rows are copies with other energies, up to "
                f"{spread:.3g} eV/atom apart",
                rows=tuple(sorted(int(file.numbers[index]) for index in conflicting)),
                advice="keep one of each; if charge or spin differ, write the keys charge and "
                "multiplicity",
            )
        )
    n_copies = sum(len(members) - 1 for members in groups)
    examples = "; ".join(ranges(file.numbers[members].tolist(), 3) for members in groups[:3])
    if n_copies:
        findings.append(
            Finding(
                check="duplicates",
                verdict="suspicious" if n_copies > 0.02 * len(file.samples) else "ok",
                message=f"{n_copies} rows repeat another row's structure (or its mirror image), "
                f"such as {examples}",
                rows=tuple(sorted(int(file.numbers[i]) for group in groups for i in group)),
                advice="no harm within one split; held-out errors are too good across two",
            )
        )
    return findings or [Finding(check="duplicates", verdict="ok", message="no structure twice")]


def duplicate_groups(file: Examined) -> list[list[int]]:
    """Positions [S] of structures that are equal up to symmetry and order of atoms."""
    buckets: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, sample in enumerate(file.samples):
        pbc = tuple(sample.pbc.tolist())
        formula = np.sort(sample.atomic_numbers).tobytes()
        buckets[(formula, sample.charge, sample.multiplicity, pbc)].append(index)
    groups = []
    for members in buckets.values():
        prints = np.stack([file.surroundings[index].fingerprint for index in members])
        order = np.lexsort(prints.T[::-1])
        scale = np.abs(prints).mean(axis=0) + 1e-12
        steps = np.abs(np.diff(prints[order], axis=0)) / scale
        current = [members[order[0]]]
        for place, step in zip(order[1:], steps, strict=True):
            if step.max() < SAME:
                current.append(members[place])
            else:
                groups.append(current)
                current = [members[place]]
        groups.append(current)
    return [sorted(group) for group in groups if len(group) > 1]


def check_cells(file: Examined) -> list[Finding]:
    """Cells without periodicity, vacuum in periodic directions, stress where there is none."""
    samples = file.samples
    has_cell = np.array([np.abs(s.cell).sum() > 0.0 for s in samples], dtype=bool)
    periodic = np.array([s.pbc.any() for s in samples], dtype=bool)
    stressed = np.array(["stress" in s.targets for s in samples], dtype=bool)
    gaps = np.array([_vacuum(s) for s in samples])
    full = np.array([s.pbc.all() for s in samples], dtype=bool)
    no_volume = stressed & ~full
    thin = (gaps > VACUUM) & stressed
    findings = []
    if no_volume.any():
        findings.append(
            Finding(
                check="cells",
                verdict="wrong",
                message=f"{int(no_volume.sum())} rows have a stress but are not periodic in three "
                "directions",
                rows=file.rows_where(no_volume),
                advice="write pbc and Lattice, or leave the stress out",
            )
        )
    if thin.any():
        findings.append(
            Finding(
                check="cells",
                verdict="suspicious",
                message=f"{int(thin.sum())} rows have a stress and vacuum of more than {VACUUM} Å",
                rows=file.rows_where(thin),
                advice="the stress of a slab or molecule depends on the vacuum; leave it out",
            )
        )
    words = [f"{int(full.sum())} periodic", f"{int((~periodic).sum())} not periodic"]
    if (has_cell & ~periodic).any():
        words.append(f"{int((has_cell & ~periodic).sum())} have a cell that is not used (pbc=F)")
    if (gaps > VACUUM).any():
        words.append(f"{int((gaps > VACUUM).sum())} periodic with vacuum (slabs, molecules)")
    summary = Finding(check="cells", verdict="ok", message=", ".join(words))
    return [*findings, summary]


def check_charges(file: Examined) -> list[Finding]:
    """Electrons against multiplicity, for molecules."""
    impossible, unstated, charged = [], [], 0
    for row, sample in zip(file.rows, file.samples, strict=True):
        electrons = int(sample.atomic_numbers.sum()) - sample.charge
        unpaired = sample.multiplicity - 1
        fits = unpaired <= electrons and (electrons - unpaired) % 2 == 0
        charged += sample.charge != 0
        if electrons < 0 or (not fits and row.multiplicity_is_stated):
            impossible.append(row.number)
        elif not fits and not sample.pbc.any():
            unstated.append(row.number)
    findings = []
    if impossible:
        findings.append(
            Finding(
                check="charges",
                verdict="wrong",
                message=f"{len(impossible)} rows have a multiplicity that their number of "
                "electrons cannot have",
                rows=tuple(impossible),
                advice="multiplicity is 2S+1: odd for an even number of electrons",
            )
        )
    if unstated:
        findings.append(
            Finding(
                check="charges",
                verdict="suspicious",
                message=f"{len(unstated)} molecules have an odd number of electrons and state no "
                "multiplicity",
                rows=tuple(unstated),
                advice="write the keys charge and multiplicity (2S+1) if the head is to know them",
            )
        )
    return findings or [Finding(check="charges", verdict="ok", message=f"{charged} charged rows")]


def _vacuum(sample: Sample) -> float:
    """Largest gap without atoms along a periodic direction, normal to the others, in Å."""
    if not sample.pbc.any() or not sample.pbc.all():
        return 0.0
    fractional = np.sort((sample.positions @ np.linalg.inv(sample.cell)) % 1.0, axis=0)
    following = np.concatenate([fractional[1:], fractional[:1] + 1.0])
    gaps = (following - fractional).max(axis=0)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(sample.cell), axis=0)
    if math.isclose(sample.n_atoms, 1):
        gaps = np.ones(3)
    return float((gaps * heights).max())
