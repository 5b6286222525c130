"""Harmonic vibrations of a molecule, or of the free atoms of a structure, at a minimum.

Translations and rotations are separated by projection, not by being the smallest: six of them, five
for a linear molecule. Imaginary frequencies are negative numbers, as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from ase.constraints import FixAtoms
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, StructureError
from atomfm_calc.workflows.compute import forces_of_many
from atomfm_calc.workflows.relax import RelaxSettings, relax, require_converged

INVERSE_CM = units.invcm
"""eV per cm⁻¹."""
LINEAR = 1e-6
"""Of the largest, below which a motion is none: a linear molecule about its axis."""


@dataclass(frozen=True, kw_only=True)
class VibrationSettings:
    """How to find second derivatives."""

    displacement: float = 0.005
    """Å, of central differences, where the calculator has no Hessian of its own."""
    use_hessian: bool = True
    """Take the calculator's own second derivatives if it has them (`get_hessian`)."""
    relax_positions: bool = True
    """Relax first."""
    max_force: float = 1e-3
    """eV/Å, limit of this relaxation."""

    def __post_init__(self) -> None:
        if not self.displacement > 0.0 or not self.max_force > 0.0:
            raise ConfigError(
                f"displacement {self.displacement} and max_force {self.max_force} must be above 0"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class VibrationResult:
    """Normal modes."""

    atoms: Atoms
    """The structure that vibrates."""
    frequencies_per_cm: NDArray[np.float64]
    """[M] rising, imaginary ones negative; rigid motions are not among them"""
    modes: NDArray[np.float64]
    """[M, N, 3] displacements in Å, each of length 1"""
    rigid_frequencies_per_cm: NDArray[np.float64]
    """Of translations and rotations of what is free: zero at an exact minimum."""
    n_imaginary: int
    """Modes along which the energy falls: 0 at a minimum, 1 at a saddle point."""
    zero_point_energy: float
    """eV, half a quantum of every real mode"""
    method: str
    """Where the second derivatives come from."""


def vibrations(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: VibrationSettings | None = None,
    *,
    keep: str | Path | None = None,
) -> VibrationResult:
    """Compute the normal modes of a molecule, or of the atoms that no `FixAtoms` holds.

    Args:
        atoms: is not changed.
        calculator: any ASE calculator; its precision matters (float64).
        settings: None: the defaults.
        keep: file (.traj) by which an interrupted run of differences goes on.

    Raises:
        WorkflowError: the relaxation does not converge.
        StructureError: all atoms are fixed.
    """
    settings = settings or VibrationSettings()
    start = atoms.copy()
    free = _free_atoms(start)
    if settings.relax_positions:
        limits = RelaxSettings(max_force=settings.max_force)
        start = require_converged(relax(start, calculator, limits))
    own: Callable[[Atoms], NDArray[np.float64]] | None = getattr(calculator, "get_hessian", None)
    if own is not None and settings.use_hessian:
        method = f"second derivatives of {type(calculator).__name__}"
        rows = (3 * free[:, None] + np.arange(3)).ravel()
        second = np.asarray(own(start))[np.ix_(rows, rows)]
    else:
        method = f"central differences of forces, {settings.displacement} Å"
        second = _differences(start, calculator, free, settings.displacement, keep)
    rigid = _rigid_motions(start, free)  # [3F, R]
    masses = np.sqrt(np.repeat(start.get_masses()[free], 3))  # [3F]
    weighted = (second + second.T) / 2.0 / np.outer(masses, masses)
    rest = np.linalg.svd(rigid, full_matrices=True)[0][:, rigid.shape[1] :]  # [3F, M]
    squares, vectors = np.linalg.eigh(rest.T @ weighted @ rest)
    frequencies = _frequencies_per_cm(squares)
    modes = np.zeros((len(squares), len(start), 3))
    modes[:, free] = ((rest @ vectors) / masses[:, None]).T.reshape(-1, len(free), 3)
    modes /= np.linalg.norm(modes.reshape(len(modes), -1), axis=1)[:, None, None]
    return VibrationResult(
        atoms=start,
        frequencies_per_cm=frequencies,
        modes=modes,
        rigid_frequencies_per_cm=_frequencies_per_cm(
            np.linalg.eigvalsh(rigid.T @ weighted @ rigid)
        ),
        n_imaginary=int((frequencies < 0.0).sum()),
        zero_point_energy=float(frequencies[frequencies > 0.0].sum()) * INVERSE_CM / 2.0,
        method=method,
    )


def _free_atoms(atoms: Atoms) -> NDArray[np.int64]:
    """Indices of atoms that may move."""
    fixed = {
        int(index)
        for constraint in atoms.constraints
        if isinstance(constraint, FixAtoms)
        for index in constraint.index
    }
    free = np.array([index for index in range(len(atoms)) if index not in fixed], dtype=np.int64)
    if len(free) == 0:
        raise StructureError("all atoms are fixed; free those that are to vibrate")
    return free


def _differences(
    atoms: Atoms,
    calculator: BaseCalculator,
    free: NDArray[np.int64],
    displacement: float,
    keep: str | Path | None,
) -> NDArray[np.float64]:
    """Second derivatives [3F, 3F] of the energy with respect to the free atoms, eV/Å²."""
    displaced = []
    for index in free:
        for axis in range(3):
            for step in (displacement, -displacement):
                one = atoms.copy()
                one.set_constraint()
                one.positions[index, axis] += step
                displaced.append(one)
    forces = forces_of_many(calculator, displaced, keep)[:, free].reshape(-1, 2, 3 * len(free))
    return (forces[:, 1] - forces[:, 0]) / (2.0 * displacement)


def _rigid_motions(atoms: Atoms, free: NDArray[np.int64]) -> NDArray[np.float64]:
    """Orthonormal mass-weighted rigid motions [3F, R] that leave the energy as it is."""
    if len(free) < len(atoms) or len(atoms) == 0:
        return np.zeros((3 * len(free), 0))
    weights = np.sqrt(atoms.get_masses())[:, None]  # [N, 1]
    axes = np.eye(3)
    motions = [weights * axis for axis in axes]
    if not atoms.pbc.any():
        around = atoms.positions - atoms.get_center_of_mass()
        motions += [weights * np.cross(axis, around) for axis in axes]
    vectors, sizes, _ = np.linalg.svd(
        np.array(motions).reshape(len(motions), -1).T, full_matrices=False
    )
    return np.asarray(vectors[:, sizes > LINEAR * sizes[0]])


def _frequencies_per_cm(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """From eigenvalues in eV/Å²/u; negative ones give negative, that is imaginary, frequencies."""
    quantum = units._hbar * units.m / np.sqrt(units._e * units._amu)  # eV per sqrt(eV/Å²/u)
    return np.sign(squares) * np.sqrt(np.abs(squares)) * quantum / INVERSE_CM
