"""Thermal expansion of a crystal: free energy against volume, from phonons at several volumes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, WorkflowError, lookup
from atomfm_calc.workflows.equation_of_state import (
    EQUATIONS,
    fit_equation_of_state,
    scaled_volumes,
)
from atomfm_calc.workflows.phonons import PhononResult, PhononSettings, phonons, supercell_for
from atomfm_calc.workflows.relax import relax_many, relaxed_crystal


@dataclass(frozen=True, kw_only=True)
class QuasiHarmonicSettings:
    """Which volumes and temperatures."""

    phonons: PhononSettings = field(default_factory=PhononSettings)
    """At each volume. The temperatures must be evenly spaced; the cell is relaxed only once."""
    equation: str = "vinet"
    """Key of `EQUATIONS`."""
    n_points: int = 7
    """Volumes, evenly spaced."""
    compression: float = 0.03
    """Smallest volume below that of the lowest energy, as a part of it."""
    expansion: float = 0.08
    """Largest volume above it."""

    def __post_init__(self) -> None:
        lookup(EQUATIONS, self.equation, "equation of state")
        if self.n_points < 5 or not 0.0 < self.compression < 0.5 or not 0.0 < self.expansion < 0.5:
            raise ConfigError(
                f"n_points {self.n_points} must be at least 5, compression {self.compression} and "
                f"expansion {self.expansion} between 0 and 0.5"
            )
        steps = np.diff(self.phonons.temperatures_K)
        if len(steps) < 2 or not np.allclose(steps, steps[0]) or steps[0] <= 0.0:
            raise ConfigError("temperatures_K must be at least three, evenly spaced, rising")


@dataclass(frozen=True, kw_only=True, eq=False)
class QuasiHarmonicResult:
    """What heat does to a crystal at zero pressure, by temperature."""

    atoms: Atoms
    """The structure of lowest energy, without vibrations."""
    temperatures_K: NDArray[np.float64]
    """[T]; those given up to the last whose equilibrium is among the volumes"""
    volume_per_atom: NDArray[np.float64]
    """[T] Å³"""
    bulk_modulus_GPa: NDArray[np.float64]
    """[T], isothermal"""
    gibbs_energy_eV_per_atom: NDArray[np.float64]
    """[T]"""
    thermal_expansion_per_K: NDArray[np.float64]
    """[T], of the volume, by differences of the volumes"""
    heat_capacity_kB_per_atom: NDArray[np.float64]
    """[T], at constant pressure, -T d²G/dT² by differences; nothing said at both ends: NaN"""
    volumes_per_atom: NDArray[np.float64]
    """[V] Å³, at which phonons were computed"""
    stopped_at_K: float | None
    """The first temperature whose equilibrium is not among the volumes; None: there is none."""


def quasi_harmonic(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: QuasiHarmonicSettings | None = None,
    *,
    keep: str | Path | None = None,
) -> QuasiHarmonicResult:
    """Minimize energy plus harmonic free energy over the volume at each temperature.

    The shape of the cell is kept when it expands.

    Args:
        atoms: is not changed.
        calculator: any ASE calculator; its precision matters (float64).
        settings: None: the defaults.
        keep: folder, which is there, for files of the volumes by which an interrupted run goes on.

    Raises:
        WorkflowError: a volume has imaginary modes; even the lowest temperature has no equilibrium
            among the volumes; a relaxation does not converge.
    """
    settings = settings or QuasiHarmonicSettings()
    own = settings.phonons
    start = atoms.copy()
    start.set_constraint()
    if own.relax_cell:
        start = relaxed_crystal(
            start, calculator, max_force=own.max_force, max_stress=own.max_stress
        )
    middle = 1.0 + (settings.expansion - settings.compression) / 2.0
    half = (settings.expansion + settings.compression) / 2.0
    centered = start.copy()
    centered.set_cell(start.cell * middle ** (1 / 3), scale_atoms=True)
    structures = relax_many(
        calculator, scaled_volumes(centered, settings.n_points, half / middle), own.max_force
    )
    fixed = replace(
        own, relax_cell=False, supercell=own.supercell or supercell_for(start.cell, own.min_length)
    )
    found = []
    for place, one in enumerate(structures):
        file = None if keep is None else Path(keep) / f"computed-{place}.traj"
        found.append(_stable(phonons(one, calculator, fixed, keep=file)))
    return _minimize(start, structures, found, settings)


def _stable(result: PhononResult) -> PhononResult:
    if result.thermal is None:
        worst = result.imaginary_modes[0]
        raise WorkflowError(
            f"at {result.atoms.get_volume() / len(result.atoms):.4g} Å³ per atom there is an "
            f"imaginary mode ({worst.frequency_THz:.2f} THz at {worst.where}), so there is no "
            "harmonic free energy there. Take fewer or smaller volumes"
        )
    return result


def _minimize(
    start: Atoms,
    structures: list[Atoms],
    found: list[PhononResult],
    settings: QuasiHarmonicSettings,
) -> QuasiHarmonicResult:
    n_atoms = len(start)
    volumes = np.array([one.get_volume() for one in structures]) / n_atoms  # [V]
    energies = np.array([one.get_potential_energy() for one in structures]) / n_atoms  # [V]
    vibrations = np.array(
        [one.thermal.free_energy_eV_per_atom for one in found if one.thermal is not None]
    )  # [V, T]
    given = np.array(settings.phonons.temperatures_K)
    fits, stopped_at = [], None
    for temperature, free in zip(given, vibrations.T, strict=True):
        try:
            fits.append(fit_equation_of_state(volumes, energies + free, settings.equation))
        except WorkflowError:
            if not fits:
                raise
            stopped_at = float(temperature)
            break
    if len(fits) < 3:
        raise WorkflowError(
            f"only {len(fits)} temperatures up to {stopped_at} K have their equilibrium among the "
            "volumes; allow more expansion"
        )
    temperatures = given[: len(fits)]
    volume = np.array([fit.volume for fit in fits])
    gibbs = np.array([fit.energy for fit in fits])
    capacity = np.full(len(fits), np.nan)
    step = temperatures[1] - temperatures[0]
    capacity[1:-1] = -temperatures[1:-1] * np.diff(gibbs, 2) / step**2
    return QuasiHarmonicResult(
        atoms=start,
        temperatures_K=temperatures,
        volume_per_atom=volume,
        bulk_modulus_GPa=np.array([fit.bulk_modulus_GPa for fit in fits]),
        gibbs_energy_eV_per_atom=gibbs,
        thermal_expansion_per_K=np.gradient(volume, temperatures) / volume,
        heat_capacity_kB_per_atom=capacity / units.kB,
        volumes_per_atom=volumes,
        stopped_at_K=stopped_at,
    )
