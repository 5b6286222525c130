"""Pairs of near-duplicate structures: the work of forces and stress between them.

Between two close structures the energy changes by the work of the forces and of the stress,

    E2 - E1 = -(F1 + F2)/2 · (r2 - r1) + V (σ1 + σ2)/2 : ε,

exact for a harmonic crystal or molecule, whatever the distance. So energies, forces, stresses and
positions that belong together give slopes of 1, and another unit gives the quotient of the units.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.sample import Sample
from training.doctor.examined import Examined

MAX_RMSD = 0.35
"""Å, root mean square over atoms; beyond, third derivatives spoil the rule."""
MAX_STRAIN = 0.08
"""Largest component of the strain between two cells."""
NEAREST = 4
"""Closest pairs that are kept, per structure."""
RUNS, RUN_LENGTH = 12, 12
"""Of each group, runs of neighbors in the file: a trajectory's next frame is the closest."""
MAX_GROUPS = 40
MAX_ATOM_PAIRS = 400_000
"""Pairs of structures times atoms in one group."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """P pairs of near-duplicates."""

    first: NDArray[np.int64]
    """[P] positions in `Examined.samples`"""
    second: NDArray[np.int64]
    """[P]"""
    change: Floats
    """E2 - E1 [P] eV"""
    work: Floats
    """Of the forces [P] eV"""
    strain_work: Floats
    """Of the stress [P] eV; 0 for equal cells and for structures that are not periodic"""
    rmsd: Floats
    """Root mean square displacement over atoms [P] Å"""

    def __len__(self) -> int:
        return len(self.change)


def find_pairs(file: Examined) -> Pairs:
    """Near-duplicates with energies and forces among rows of the same atoms in the same order."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, sample in enumerate(file.samples):
        if {"energy", "forces"} <= set(sample.targets) and sample.n_atoms > 1:
            pbc = tuple(sample.pbc.tolist())
            state = (pbc, sample.charge, sample.multiplicity, "stress" in sample.targets)
            groups[(sample.atomic_numbers.tobytes(), *state)].append(index)
    largest = sorted(groups.values(), key=len, reverse=True)[:MAX_GROUPS]
    found = [_pairs_of(file, members) for members in largest if len(members) > 1]
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else []
    if not columns:
        columns = [np.zeros(0, dtype=np.int64)] * 2 + [np.zeros(0)] * 4
    first, second, change, work, strain_work, rmsd = columns
    return Pairs(
        first=first,
        second=second,
        change=change,
        work=work,
        strain_work=strain_work,
        rmsd=rmsd,
    )


def _chosen(members: list[int], n_atoms: int) -> NDArray[np.int64]:
    """All members of a small group, runs of neighbors out of a large one."""
    most = min(RUNS * RUN_LENGTH, max(int(np.sqrt(2.0 * MAX_ATOM_PAIRS / n_atoms)), RUN_LENGTH))
    if len(members) <= most:
        return np.array(members)
    n_runs = max(most // RUN_LENGTH, 1)
    starts = np.linspace(0, len(members) - RUN_LENGTH, n_runs).astype(np.int64)
    places = np.unique((starts[:, None] + np.arange(RUN_LENGTH)).reshape(-1))
    return np.array(members)[places]


def _pairs_of(file: Examined, members: list[int]) -> tuple[NDArray[np.generic], ...]:
    chosen = _chosen(members, file.samples[members[0]].n_atoms)
    samples = [file.samples[index] for index in chosen]
    a, b = np.triu_indices(len(samples), k=1)
    change = file.energies[chosen[b]] - file.energies[chosen[a]]
    rmsd, work, strain_work = (
        _periodic(samples, a, b) if samples[0].pbc.any() else _molecular(samples, a, b)
    )
    near = np.argsort(rmsd, kind="stable")[: NEAREST * len(samples)]
    close = near[rmsd[near] < MAX_RMSD]
    first, second = chosen[a][close], chosen[b][close]
    return first, second, change[close], work[close], strain_work[close], rmsd[close]


def _molecular(
    samples: list[Sample], a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """Distance after the best rotation, the work of the forces, and none of the stress."""
    positions = np.stack([s.positions - s.positions.mean(axis=0) for s in samples])  # [M, N, 3]
    forces = np.stack([s.targets["forces"] for s in samples])
    forces = forces - forces.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("pni,pnj->pij", positions[b], positions[a]))
    sign = np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= sign[:, None]
    rotation = left @ right  # [P, 3, 3], x_b @ rotation is closest to x_a
    displacement = positions[b] @ rotation - positions[a]
    mean_force = 0.5 * (forces[b] @ rotation + forces[a])
    work = -(mean_force * displacement).sum(axis=(1, 2))
    return _rms(displacement), work, np.zeros(len(a))


def _rms(displacement: Floats) -> Floats:
    """Over atoms: [P, N, 3] -> [P]."""
    return np.asarray(np.sqrt((displacement**2).sum(axis=2).mean(axis=1)))


def _periodic(
    samples: list[Sample], a: NDArray[np.int64], b: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """Distance at equal cells (infinite: too large a strain), the work of forces and stress."""
    pbc = samples[0].pbc
    cells = np.stack([_full_cell(s.cell, pbc) for s in samples])  # [M, 3, 3]
    fractional = np.stack(
        [s.positions @ np.linalg.inv(c) for s, c in zip(samples, cells, strict=True)]
    )
    forces = np.stack([s.targets["forces"] for s in samples])
    forces = forces - forces.mean(axis=1, keepdims=True)
    deformation = np.linalg.solve(cells[a], cells[b])  # cell_b = cell_a @ deformation
    left, stretches, right = np.linalg.svd(deformation)
    rotation = np.swapaxes(left @ right, 1, 2)  # takes b back into the orientation of a
    stretches = np.clip(stretches, 1e-3, None)
    strain = np.einsum("pij,pj,pkj->pik", left, np.log(stretches), left)
    shift = fractional[b] - fractional[a]
    shift -= np.round(shift) * pbc
    # atoms on both sides of a boundary after a drift: measure from the first atom
    origin = shift[:, :1]
    shift = shift - origin
    shift -= np.round(shift) * pbc
    middle = 0.5 * (cells[a] + cells[b] @ rotation)
    displacement = shift @ middle
    displacement = displacement - displacement.mean(axis=1, keepdims=True)
    mean_force = 0.5 * (forces[a] + forces[b] @ rotation)
    work = -(mean_force * displacement).sum(axis=(1, 2))
    largest = np.abs(strain).max(axis=(1, 2))
    has_stress = "stress" in samples[0].targets and bool(pbc.all())
    allowed = MAX_STRAIN if has_stress else 1e-4
    rmsd = np.where(largest < allowed, _rms(displacement), np.inf)
    if not has_stress:
        return rmsd, work, np.zeros(len(a))
    stress = np.stack([s.targets["stress"] for s in samples])
    turned = np.swapaxes(rotation, 1, 2) @ stress[b] @ rotation
    volume = np.abs(np.linalg.det(cells))[:, None, None]
    mean_stress = 0.5 * (volume[a] * stress[a] + volume[b] * turned)  # [P, 3, 3] eV
    return rmsd, work, (mean_stress * strain).sum(axis=(1, 2))


def _full_cell(cell: Floats, pbc: NDArray[np.bool_]) -> Floats:
    """The cell with unit vectors along the directions that are not periodic."""
    if pbc.all():
        return cell
    _, _, normals = np.linalg.svd(cell[pbc])  # rows beyond the rank complete the lattice vectors
    full = cell.copy()
    full[~pbc] = normals[int(pbc.sum()) :]
    return full
