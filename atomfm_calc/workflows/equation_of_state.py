"""Energy against volume: equilibrium volume and bulk modulus of a crystal of constant shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.eos import (
    EquationOfState,
    birch,
    birchmurnaghan,
    murnaghan,
    pouriertarantola,
    vinet,
)
from numpy.typing import ArrayLike, NDArray

from atomfm_calc.errors import ConfigError, PropertyError, WorkflowError, lookup
from atomfm_calc.units import GPA
from atomfm_calc.workflows.compute import compute_many, with_computed
from atomfm_calc.workflows.relax import relax_many

EQUATIONS: dict[str, Callable[..., Any]] = {
    "birch-murnaghan": birchmurnaghan,
    "murnaghan": murnaghan,
    "birch": birch,
    "poirier-tarantola": pouriertarantola,
    "vinet": vinet,
}
"""Of ASE's equations E(V) those with the parameters energy, bulk modulus, its derivative and
volume."""


@dataclass(frozen=True, kw_only=True)
class EquationOfStateSettings:
    """Which volumes, and what to fit."""

    equation: str = "birch-murnaghan"
    """Key of `EQUATIONS`."""
    n_points: int = 11
    """Volumes, evenly spaced."""
    volume_range: float = 0.08
    """Largest change of the volume to either side, as a part of it."""
    relax_positions: bool = True
    """Relax the atoms at each volume, where symmetry does not hold them."""
    max_force: float = 0.005
    """eV/Å, limit of these relaxations."""

    def __post_init__(self) -> None:
        lookup(EQUATIONS, self.equation, "equation of state")
        if self.n_points < 5 or not 0.0 < self.volume_range < 0.5 or self.max_force <= 0.0:
            raise ConfigError(
                f"n_points {self.n_points} must be at least 5, volume_range {self.volume_range} "
                f"between 0 and 0.5, max_force {self.max_force} above 0"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class EquationOfStateFit:
    """The parameters of an equation of state."""

    volume: float
    """Å³, of the lowest energy"""
    energy: float
    """eV, the lowest"""
    bulk_modulus_GPa: float
    """At the lowest energy."""
    bulk_modulus_derivative: float
    """With respect to pressure."""
    rms_error_meV: float
    """Of the fitted energies."""
    parameters: tuple[float, ...]
    """As ASE's `ase.eos` wants them: eV, eV/Å³, 1, Å³"""
    equation: str
    """Key of `EQUATIONS`."""

    def energies(self, volumes: ArrayLike) -> NDArray[np.float64]:
        """Energies in eV at volumes in Å³."""
        function = EQUATIONS[self.equation]
        return np.asarray(function(np.asarray(volumes, dtype=np.float64), *self.parameters))


@dataclass(frozen=True, kw_only=True, eq=False)
class EquationOfStateResult:
    """What was computed and fitted."""

    atoms: Atoms
    """The structure at the fitted volume."""
    fit: EquationOfStateFit
    """Of the cell as given."""
    n_atoms: int
    """In the cell."""
    volume_per_atom: float
    """Å³"""
    length_change: float
    """By which every lattice vector changes from the given structure to the fitted volume, minus
    1."""
    volumes: NDArray[np.float64]
    """[n_points] Å³"""
    energies: NDArray[np.float64]
    """[n_points] eV"""


def equation_of_state(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: EquationOfStateSettings | None = None,
    *,
    keep: str | Path | None = None,
) -> EquationOfStateResult:
    """Compute energies at several volumes and fit an equation of state to them.

    The shape of the cell is kept; relax it before if symmetry does not fix it.

    Args:
        atoms: is not changed; its volume is the middle of the volumes.
        calculator: any ASE calculator.
        settings: None: the defaults.
        keep: file (.traj) by which an interrupted run goes on; see `compute_many`.

    Raises:
        PropertyError: the structure is not periodic in three directions.
        WorkflowError: the lowest energy is not among the volumes; nothing is extrapolated.
    """
    settings = settings or EquationOfStateSettings()
    if not atoms.pbc.all():
        raise PropertyError(
            f"an equation of state needs a crystal, periodic in three directions; pbc is "
            f"{atoms.pbc.tolist()}. Give a structure with its cell and pbc"
        )
    strained = scaled_volumes(atoms, settings.n_points, settings.volume_range)
    if settings.relax_positions:
        computed = relax_many(calculator, strained, settings.max_force, keep=keep)
    else:
        results = compute_many(calculator, strained, want=("energy",), keep=keep)
        computed = [with_computed(*pair) for pair in zip(strained, results, strict=True)]
    volumes = np.array([one.get_volume() for one in computed])
    energies = np.array([one.get_potential_energy() for one in computed])
    fit = fit_equation_of_state(volumes, energies, settings.equation)
    nearest: Atoms = computed[int(abs(volumes - fit.volume).argmin())].copy()
    nearest.set_cell(atoms.cell * (fit.volume / atoms.get_volume()) ** (1 / 3), scale_atoms=True)
    return EquationOfStateResult(
        atoms=nearest,
        fit=fit,
        n_atoms=len(atoms),
        volume_per_atom=fit.volume / len(atoms),
        length_change=float((fit.volume / atoms.get_volume()) ** (1 / 3)) - 1.0,
        volumes=volumes,
        energies=energies,
    )


def scaled_volumes(atoms: Atoms, n_points: int, volume_range: float) -> list[Atoms]:
    """The structure at evenly spaced volumes around its own, at constant shape."""
    scaled = []
    for volume in np.linspace(1.0 - volume_range, 1.0 + volume_range, n_points):
        one = atoms.copy()
        one.set_cell(atoms.cell * volume ** (1 / 3), scale_atoms=True)
        scaled.append(one)
    return scaled


def fit_equation_of_state(
    volumes: Sequence[float] | NDArray[np.float64],
    energies: Sequence[float] | NDArray[np.float64],
    equation: str = "birch-murnaghan",
) -> EquationOfStateFit:
    """Fit an equation of state.

    Args:
        volumes: [P] Å³
        energies: [P] eV
        equation: key of `EQUATIONS`.

    Raises:
        WorkflowError: the lowest energy is not inside, or the equation does not fit.
    """
    function = lookup(EQUATIONS, equation, "equation of state")
    curve = EquationOfState(volumes, energies, eos=function.__name__)
    by_volume = np.array(energies)[np.argsort(volumes)]
    lowest = int(by_volume.argmin())
    if lowest in (0, len(by_volume) - 1):
        side = "smallest" if lowest == 0 else "largest"
        raise WorkflowError(
            f"the energy is lowest at the {side} of the volumes ({min(volumes):.4g} to "
            f"{max(volumes):.4g} Å³), and nothing is extrapolated. Relax the cell first "
            "(atomfm run relax FILE --cell full) or take a wider range of volumes"
        )
    try:
        volume, energy, modulus = curve.fit(warn=False)
    except RuntimeError as error:  # SciPy's curve_fit gives up
        raise WorkflowError(f"{equation} does not fit these energies: {error}") from error
    if not min(volumes) < volume < max(volumes) or not modulus > 0.0:
        raise WorkflowError(
            f"{equation} fits badly: volume {volume:.4g} Å³ (computed: {min(volumes):.4g} to "
            f"{max(volumes):.4g}), bulk modulus {modulus / GPA:.4g} GPa. Are all energies of the "
            "same phase?"
        )
    parameters = tuple(float(value) for value in curve.eos_parameters)
    deviation = function(np.array(volumes), *parameters) - np.array(energies)
    return EquationOfStateFit(
        volume=float(volume),
        energy=float(energy),
        bulk_modulus_GPa=float(modulus) / GPA,
        bulk_modulus_derivative=parameters[2],
        rms_error_meV=1e3 * float(np.sqrt(np.mean(deviation**2))),
        parameters=parameters,
        equation=equation,
    )
