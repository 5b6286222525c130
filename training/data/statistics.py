"""Element reference energies and scale of a head, by least squares in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

MEANINGFUL_FORCE = 0.05
"""eV/Å; a smaller rms means relaxed structures, whose forces say nothing about the scale."""
SMALLEST_SCALE = 1e-3
"""eV/Å or eV; the scale of a set without any spread."""
ROUNDS = 3

Floats = NDArray[np.float64]


def composition_matrix(atomic_numbers: NDArray[np.int64], n_atoms: NDArray[np.int64]) -> Floats:
    """Number of atoms of each element in each structure: [S, 119] from [N] and [S]."""
    counts = np.zeros((len(n_atoms), MAX_ATOMIC_NUMBER + 1))
    np.add.at(counts, (np.repeat(np.arange(len(n_atoms)), n_atoms), atomic_numbers), 1.0)
    return counts


def fit_references(
    counts: Floats, energies: Floats, prior: Mapping[int, float] | None = None
) -> Floats:
    """Energy of each element [119] in eV, such that their sums are close to the energies.

    Least squares of the energy per atom with a penalty on the distance from a prior. The strength
    of the penalty is the variance of the residuals over that of the distances, both found from the
    data, so that well-known elements are fitted freely, those seen in a few structures lean on the
    prior, and those never seen are the prior. Without a prior, it is whichever of two shapes fits
    better: the same for all elements (valence energies), or Z^(7/3) (Thomas-Fermi, all electrons).

    Args:
        counts: [S, 119] from `composition_matrix`.
        energies: [S] eV.
        prior: energies of isolated atoms in eV by atomic number, must cover all elements present.

    Raises:
        DataError: no structures, or a prior that lacks an element.
    """
    if len(energies) == 0:
        raise DataError("no energies to fit references to")
    n_atoms = counts.sum(axis=1, keepdims=True)
    fractions, per_atom = counts / n_atoms, energies / n_atoms[:, 0]
    center = _prior_energies(fractions, per_atom, prior)
    remaining = per_atom - fractions @ center
    penalty, shift = 1e-6, np.zeros_like(center)
    normal, right = fractions.T @ fractions, fractions.T @ remaining
    seen = np.diag(normal) > 0.0
    for _ in range(ROUNDS):
        shift = np.linalg.solve(normal + penalty * np.eye(len(normal)), right)
        residual_variance = np.mean((remaining - fractions @ shift) ** 2)
        shift_variance = np.mean(shift[seen] ** 2)
        penalty = float(np.clip(residual_variance / max(shift_variance, 1e-12), 1e-9, 1.0))
    return np.asarray(center + shift)


def fit_scale(counts: Floats, energies: Floats, forces: Floats, references: Floats) -> float:
    """Natural size of what the network has to explain.

    Root mean square of the force components if they are meaningful, in eV/Å; else the standard
    deviation of the energy per atom without references, in eV.

    Args:
        counts: [S, 119].
        energies: [S] eV.
        forces: any shape, eV/Å, NaN where there is no label.
        references: [119] eV.
    """
    labeled = forces[np.isfinite(forces)].astype(np.float64)
    rms_force = float(np.sqrt(np.mean(labeled**2))) if labeled.size else 0.0
    if rms_force > MEANINGFUL_FORCE:
        return rms_force
    if len(energies) == 0:
        return 1.0
    residual = (energies - counts @ references) / counts.sum(axis=1)
    return max(float(residual.std()), SMALLEST_SCALE)


def _prior_energies(
    fractions: Floats, per_atom: Floats, prior: Mapping[int, float] | None
) -> Floats:
    elements = np.arange(MAX_ATOMIC_NUMBER + 1, dtype=np.float64)
    if prior is not None:
        missing = [z for z in np.flatnonzero(fractions.any(axis=0)) if int(z) not in prior]
        if missing:
            raise DataError(f"the prior has no energy of the elements Z = {missing}")
        return np.array([prior.get(int(z), 0.0) for z in elements])
    best: tuple[float, Floats] | None = None
    for shape in (np.ones_like(elements), elements ** (7.0 / 3.0)):
        column = fractions @ shape
        candidate = shape * float(column @ per_atom) / float(column @ column)
        error = float(np.mean((per_atom - fractions @ candidate) ** 2))
        if best is None or error < best[0]:
            best = (error, candidate)
    assert best is not None
    return best[1]
