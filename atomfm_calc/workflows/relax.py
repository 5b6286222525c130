"""Relaxation of positions and, if wanted, of the cell.

Convergence is decided here, not by ASE's optimizer: forces and stress each have their own limit,
because a single limit on ASE's mixed cell "force" means another stress for another cell size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.io.trajectory import Trajectory
from ase.optimize import BFGS, FIRE, LBFGS

from atomfm_calc.errors import ConfigError, DataError, PropertyError, WorkflowError, lookup
from atomfm_calc.packages import require
from atomfm_calc.units import GPA
from atomfm_calc.workflows.compute import (
    MADE_BY_KEY,
    compute_many,
    maker_of,
    refuse_other_maker,
    with_computed,
)
from atomfm_calc.workflows.result import RelaxResult, with_results

RELAX_OPTIMIZERS: dict[str, Callable[..., Any]] = {"fire": FIRE, "lbfgs": LBFGS, "bfgs": BFGS}
"""FIRE is slow and hard to upset, LBFGS fast; BFGS keeps a full matrix: for small structures."""


def _fixed(atoms: Atoms, pressure: float) -> Atoms:
    return atoms


def _full(atoms: Atoms, pressure: float) -> FrechetCellFilter:
    return FrechetCellFilter(atoms, scalar_pressure=pressure)


def _volume(atoms: Atoms, pressure: float) -> FrechetCellFilter:
    return FrechetCellFilter(atoms, scalar_pressure=pressure, hydrostatic_strain=True)


CELLS: dict[str, Callable[[Atoms, float], Any]] = {
    "fixed": _fixed,
    "full": _full,
    "volume": _volume,
}
"""What may change beside the positions: nothing, the whole cell, the volume at constant shape."""


@dataclass(frozen=True, kw_only=True)
class RelaxSettings:
    """How to relax."""

    cell: str = "fixed"
    """Key of `CELLS`."""
    optimizer: str = "lbfgs"
    """Key of `RELAX_OPTIMIZERS`."""
    max_force: float = 0.02
    """eV/Å, limit for the largest force on an atom."""
    max_stress: float = 6e-4
    """eV/Å³ (0.1 GPa), limit for each stress component's deviation from the pressure."""
    pressure_GPa: float = 0.0
    """Compression is positive."""
    max_steps: int = 500
    """Optimizer steps, after which it ends unconverged; those before a resumption included."""
    keep_symmetry: bool = False
    """Keep the space group; the structure is first moved onto it exactly (ASE's `FixSymmetry`)."""
    symmetry_tolerance: float = 0.01
    """Å, how far atoms may be off their symmetric places to count as being there."""

    def __post_init__(self) -> None:
        lookup(CELLS, self.cell, "cell")
        lookup(RELAX_OPTIMIZERS, self.optimizer, "optimizer")
        if self.max_force <= 0.0 or self.max_stress <= 0.0 or self.max_steps < 0:
            raise ConfigError(
                f"max_force {self.max_force}, max_stress {self.max_stress} and max_steps "
                f"{self.max_steps} must be above 0"
            )


class RelaxStep(NamedTuple):
    """What is reported at each step."""

    n_steps: int
    energy: float
    """eV"""
    max_force: float
    """eV/Å"""
    max_stress: float | None
    """eV/Å³; None with a fixed cell"""


def relax(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: RelaxSettings | None = None,
    *,
    trajectory: str | Path | None = None,
    resume: bool = False,
    on_step: Callable[[RelaxStep], None] | None = None,
) -> RelaxResult:
    """Minimize the energy from the given structure on.

    Args:
        atoms: is not changed; its constraints are kept.
        calculator: any ASE calculator.
        settings: None: the defaults.
        trajectory: file (.traj) for all steps, replaced if present, unless `resume`.
        resume: go on from the last structure of `trajectory`.
        on_step: called with the state before the first and after each step.

    Returns:
        The result says whether it converged; not converging is not an error.

    Raises:
        PropertyError: a free cell, or a space group, without three periodic directions.
        DataError: nothing to resume.
        SetupError: `keep_symmetry` without spglib.
    """
    settings = settings or RelaxSettings()
    if (settings.cell != "fixed" or settings.keep_symmetry) and not atoms.pbc.all():
        raise PropertyError(
            f"cell={settings.cell!r}, keep_symmetry={settings.keep_symmetry} needs a structure "
            f"periodic in three directions; pbc is {atoms.pbc.tolist()}. Use cell='fixed'."
        )
    moving, n_done, first_energy = _start(atoms, calculator, trajectory, resume)
    moving.calc = calculator
    constraints = list(moving.constraints)
    if settings.keep_symmetry:
        require("spglib")
        symmetry = FixSymmetry(moving, symprec=settings.symmetry_tolerance)
        moving.set_constraint([*constraints, symmetry])
    states = _Recorder(moving, settings, trajectory, resume, on_step)
    target = CELLS[settings.cell](moving, settings.pressure_GPa * GPA)
    optimizer = RELAX_OPTIMIZERS[settings.optimizer](target, logfile=None)
    try:
        first = last = states.record(n_done)
        while not states.converged(last) and last.n_steps < settings.max_steps:
            optimizer.step()
            last = states.record(last.n_steps + 1)
    finally:
        states.close()
    free_cell = settings.cell != "fixed"
    converged = states.converged(last)
    relaxed = with_results(moving)
    relaxed.set_constraint(constraints)
    return RelaxResult(
        atoms=relaxed,
        converged=converged,
        reason="converged" if converged else f"not converged after {settings.max_steps} steps",
        n_steps=last.n_steps,
        initial_energy=first.energy if first_energy is None else first_energy,
        energy=last.energy,
        max_force=last.max_force,
        max_stress=last.max_stress,
        volume_change=(
            float(moving.get_volume() / atoms.get_volume()) - 1.0 if free_cell else None
        ),
        trajectory=None if trajectory is None else Path(trajectory),
    )


def relaxed_crystal(
    atoms: Atoms, calculator: BaseCalculator, *, max_force: float, max_stress: float
) -> Atoms:
    """The structure with positions and cell relaxed, where other workflows begin.

    Raises:
        WorkflowError: not converged.
    """
    settings = RelaxSettings(cell="full", max_force=max_force, max_stress=max_stress)
    return require_converged(relax(atoms, calculator, settings))


def relax_many(
    calculator: BaseCalculator,
    structures: Iterable[Atoms],
    max_force: float,
    *,
    want: Sequence[str] = ("energy", "forces"),
    keep: str | Path | None = None,
) -> list[Atoms]:
    """Structures with relaxed positions at fixed cells, their results attached.

    All are computed together first; only those with a force above `max_force` are relaxed, one
    after the other: where symmetry holds the atoms, none is.

    Args:
        calculator: any ASE calculator.
        structures: are not changed; their constraints are kept.
        max_force: eV/Å
        want: the results, "energy", "forces" and, if needed, "stress".
        keep: file of `compute_many` for the first calculation.

    Raises:
        WorkflowError: one does not converge.
    """
    given = list(structures)
    first = compute_many(calculator, given, want, keep=keep)
    relaxed = [with_computed(*pair) for pair in zip(given, first, strict=True)]
    settings = RelaxSettings(max_force=max_force)
    for place, labeled in enumerate(relaxed):
        if np.linalg.norm(labeled.get_forces(), axis=1).max(initial=0.0) > max_force:
            moved = require_converged(relax(given[place], calculator, settings))
            relaxed[place] = with_computed(moved, compute_many(calculator, [moved], want)[0])
    return relaxed


def require_converged(result: RelaxResult) -> Atoms:
    """The relaxed structure; WorkflowError if it is not."""
    if not result.converged:
        raise WorkflowError(
            f"{result.atoms.get_chemical_formula()} was {result.reason}: a force of "
            f"{result.max_force:.3g} eV/Å is left. Allow larger forces, or relax it beforehand "
            "(atomfm run relax) and see why"
        )
    return result.atoms


def _start(
    atoms: Atoms, calculator: BaseCalculator, trajectory: str | Path | None, resume: bool
) -> tuple[Atoms, int, float | None]:
    """Structure to begin with, steps done before, and the energy before the first of them."""
    if not resume:
        return atoms.copy(), 0, None
    if trajectory is None or not Path(trajectory).is_file():
        raise DataError(f"there is no trajectory {trajectory} to resume; start without resume")
    with Trajectory(str(trajectory), "r") as frames:
        if len(frames) == 0 or frames[-1].get_chemical_formula() != atoms.get_chemical_formula():
            raise DataError(f"{trajectory} holds no such structure; start without resume")
        last = Atoms(frames[-1])
        refuse_other_maker(last, calculator, trajectory)
        last.set_constraint([one.copy() for one in atoms.constraints])
        return last, len(frames) - 1, float(frames[0].get_potential_energy())


class _Recorder:
    """Measures each step, writes it and tells it."""

    def __init__(
        self,
        atoms: Atoms,
        settings: RelaxSettings,
        trajectory: str | Path | None,
        resume: bool,
        on_step: Callable[[RelaxStep], None] | None,
    ) -> None:
        self.atoms, self.settings, self.on_step = atoms, settings, on_step
        self.trajectory = None
        if trajectory is not None:
            self.trajectory = Trajectory(str(trajectory), "a" if resume else "w")
        self.written = resume  # the state that a resumed run begins with is in the file

    def record(self, n_steps: int) -> RelaxStep:
        stress = None if self.settings.cell == "fixed" else self._stress_deviation()
        forces = self.atoms.get_forces()
        step = RelaxStep(
            n_steps=n_steps,
            energy=float(self.atoms.get_potential_energy()),
            max_force=float(np.linalg.norm(forces, axis=1).max(initial=0.0)),
            max_stress=stress,
        )
        self.atoms.info[MADE_BY_KEY] = maker_of(self.atoms.calc)
        if self.trajectory is not None and not self.written:
            self.trajectory.write(self.atoms)
        self.written = False
        if self.on_step is not None:
            self.on_step(step)
        return step

    def converged(self, step: RelaxStep) -> bool:
        small_stress = step.max_stress is None or step.max_stress <= self.settings.max_stress
        return step.max_force <= self.settings.max_force and small_stress

    def close(self) -> None:
        if self.trajectory is not None:
            self.trajectory.close()

    def _stress_deviation(self) -> float:
        stress = self.atoms.get_stress(voigt=False)
        deviation = stress + self.settings.pressure_GPa * GPA * np.eye(3)
        if self.settings.cell == "volume":
            return float(abs(np.trace(deviation)) / 3.0)
        return float(np.abs(deviation).max())
