"""Molecular dynamics with a trajectory, a table of the course, and a stop before nonsense.

The center of mass is held still by a constraint (ASE's `FixCom`), so that temperature counts 3N - 3
degrees of freedom, unless the structure brings constraints of its own. Where an integrator of ASE
takes no constraints, the momenta add up to nothing from the beginning, which is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator, CalculationFailed
from ase.constraints import FixCom
from ase.io.trajectory import Trajectory
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from ase.md.nptberendsen import NPTBerendsen
from ase.md.verlet import VelocityVerlet

from atomfm_calc.errors import AtomFMError, ConfigError, DataError, PropertyError, lookup
from atomfm_calc.units import GPA
from atomfm_calc.workflows.compute import refuse_other_maker
from atomfm_calc.workflows.course import (
    STEP_KEY,
    Course,
    DynamicsStep,
    degrees_of_freedom,
    temperature_of,
)
from atomfm_calc.workflows.result import DynamicsResult, with_results

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DynamicsSettings:
    """How to integrate."""

    ensemble: str = "nvt-langevin"
    """Key of `ENSEMBLES`."""
    temperature_K: float = 300.0
    """Of the thermostat, and of the first velocities where the structure has none."""
    timestep_fs: float = 1.0
    """Two for heavy atoms; 0.5 to 1 with hydrogen."""
    n_steps: int = 1000
    """In all, those of earlier parts of a resumed run included."""
    thermostat_time_fs: float = 100.0
    """Time in which the thermostat takes effect."""
    pressure_GPa: float = 0.0
    """Of the barostat; compression is positive."""
    barostat_time_fs: float = 1000.0
    """Time in which the barostat takes effect."""
    bulk_modulus_GPa: float = 100.0
    """Of the material, roughly: Berendsen's barostat takes `barostat_time_fs` if it is right."""
    record_every: int = 10
    """Steps between two records in trajectory and table."""
    seed: int = 0
    """Of velocities and thermostat."""
    stop_above_temperature_K: float | None = None
    """The run ends when it gets hotter; None: 5 x temperature_K + 1000."""
    stop_above_force: float = 200.0
    """eV/Å, the run ends when a force gets larger."""

    def __post_init__(self) -> None:
        lookup(ENSEMBLES, self.ensemble, "ensemble")
        for name in (
            *("temperature_K", "timestep_fs", "thermostat_time_fs", "stop_above_force"),
            *("barostat_time_fs", "bulk_modulus_GPa"),
        ):
            if not getattr(self, name) > 0.0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        if self.n_steps < 1 or self.record_every < 1:
            raise ConfigError(
                f"n_steps {self.n_steps} and record_every {self.record_every} must be at least 1"
            )

    @property
    def hottest_K(self) -> float:  # noqa: N802
        """Temperature above which the run ends."""
        if self.stop_above_temperature_K is None:
            return 5.0 * self.temperature_K + 1000.0
        return self.stop_above_temperature_K


def _verlet(atoms: Atoms, settings: DynamicsSettings, random: Any) -> Any:
    return VelocityVerlet(atoms, settings.timestep_fs * units.fs)


def _langevin(atoms: Atoms, settings: DynamicsSettings, random: Any) -> Any:
    return Langevin(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_K,
        friction=1.0 / (settings.thermostat_time_fs * units.fs),
        fixcm=False,
        rng=random,
    )


def _bussi(atoms: Atoms, settings: DynamicsSettings, random: Any) -> Any:
    return Bussi(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_K,
        taut=settings.thermostat_time_fs * units.fs,
        rng=random,
    )


def _nose_hoover(atoms: Atoms, settings: DynamicsSettings, random: Any) -> Any:
    return NoseHooverChainNVT(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=_chain_temperature_K(atoms, settings),
        tdamp=settings.thermostat_time_fs * units.fs,
    )


def _mtk(atoms: Atoms, settings: DynamicsSettings, random: Any) -> Any:
    return IsotropicMTKNPT(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=_chain_temperature_K(atoms, settings),
        pressure_au=settings.pressure_GPa * GPA,
        tdamp=settings.thermostat_time_fs * units.fs,
        pdamp=settings.barostat_time_fs * units.fs,
    )


def _berendsen(atoms: Atoms, settings: DynamicsSettings, random: Any) -> Any:
    return NPTBerendsen(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_K,
        pressure_au=settings.pressure_GPa * GPA,
        taut=settings.thermostat_time_fs * units.fs,
        taup=settings.barostat_time_fs * units.fs,
        compressibility_au=1.0 / (settings.bulk_modulus_GPa * GPA),
        fixcm=False,
    )


def _chain_temperature_K(atoms: Atoms, settings: DynamicsSettings) -> float:  # noqa: N802
    """ASE's chains share 3N kT / 2 out, though those at rest take no part."""
    return settings.temperature_K * degrees_of_freedom(atoms) / (3 * len(atoms))


ENSEMBLES: dict[str, Callable[[Atoms, DynamicsSettings, Any], Any]] = {
    "nve": _verlet,
    "nvt-langevin": _langevin,
    "nvt-bussi": _bussi,
    "nvt-nose-hoover": _nose_hoover,
    "npt-mtk": _mtk,
    "npt-berendsen": _berendsen,
}
"""ASE's integrators: constant energy; thermostats, Langevin sturdier, Bussi gentler, Nosé-Hoover's
chain deterministic; barostats that keep the shape of the cell, Martyna-Tobias-Klein's with the
right fluctuations, Berendsen's to get to a volume quickly, with fluctuations of no ensemble."""

MOVING_CELL = ("npt-mtk", "npt-berendsen")
"""Ensembles whose cell moves: they need stress in three periodic directions."""
WITHOUT_CONSTRAINTS = ("npt-mtk",)
"""Ensembles whose integrator takes no constraints (ASE 3.29)."""


def run_dynamics(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: DynamicsSettings | None = None,
    *,
    trajectory: str | Path | None = None,
    resume: bool = False,
    on_record: Callable[[DynamicsStep], None] | None = None,
) -> DynamicsResult:
    """Integrate the equations of motion from the given structure on.

    Args:
        atoms: is not changed; its momenta are used if it has any.
        calculator: any ASE calculator.
        settings: None: the defaults.
        trajectory: file (.traj); a table of the course stands beside it (.csv). Replaced if
            present, unless `resume`.
        resume: go on from the last structure of `trajectory` until `settings.n_steps`; thermostat
            and barostat start at rest.
        on_record: called with every record.

    Returns:
        The result says whether all steps were done. A run that gets too hot, has a force too
        large or a structure that the calculator refuses is stopped, and keeps what it has.

    Raises:
        DataError: nothing to resume.
        PropertyError: an ensemble that this structure cannot have.
    """
    settings = settings or DynamicsSettings()
    _check_ensemble(atoms, settings.ensemble)
    start = _last_structure(trajectory, calculator) if resume else atoms.copy()
    first_step = int(start.info.get(STEP_KEY, 0)) if resume else 0
    random = np.random.default_rng((settings.seed, first_step))
    moving = _prepare(start, settings, random)
    moving.calc = calculator
    moving.get_forces()  # a structure that cannot be computed at all is an error, not a stop
    course = Course(
        moving,
        settings.timestep_fs,
        trajectory,
        resume=resume,
        moving_cell=settings.ensemble in MOVING_CELL,
        on_record=on_record,
    )
    try:
        reason = _integrate(moving, settings, random, first_step, course)
    finally:
        course.close()
    n_steps = course.last_step
    return DynamicsResult(
        atoms=with_results(moving),
        completed=reason is None,
        reason=reason or "all steps done",
        n_steps=n_steps,
        time_fs=n_steps * settings.timestep_fs,
        mean_temperature_K=course.mean("temperature_K") or 0.0,
        mean_volume_angstrom3=course.mean("volume_angstrom3"),
        mean_pressure_GPa=course.mean("pressure_GPa"),
        energy_drift_meV_per_atom_per_ps=(
            course.drift_meV_per_atom_per_ps() if settings.ensemble == "nve" else None
        ),
        trajectory=None if trajectory is None else Path(trajectory),
    )


def _integrate(
    moving: Atoms, settings: DynamicsSettings, random: Any, first_step: int, course: Course
) -> str | None:
    """Do the steps; returns why it was stopped, None if it was not."""
    course.last_step = first_step
    try:
        integrator = ENSEMBLES[settings.ensemble](moving, settings, random)
        if first_step == 0:
            course.record(0)
        for step in range(first_step + 1, settings.n_steps + 1):
            integrator.step()
            course.last_step = step
            reason = _blown_up(moving, settings)
            if step % settings.record_every == 0 or step == settings.n_steps or reason:
                course.record(step)
            if reason:
                reason = f"stopped at step {step}: {reason}"
                logger.warning(reason)
                return reason
    except (AtomFMError, CalculationFailed) as error:
        reason = f"stopped after step {course.last_step}: {error}"
        logger.warning(reason)
        return reason
    return None


def _blown_up(atoms: Atoms, settings: DynamicsSettings) -> str | None:
    largest = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    temperature = temperature_of(atoms)
    if not largest <= settings.stop_above_force:
        return f"a force of {largest:.3g} eV/Å (limit {settings.stop_above_force:g})"
    if not temperature <= settings.hottest_K:
        return f"a temperature of {temperature:.4g} K (limit {settings.hottest_K:g})"
    return None


def _check_ensemble(atoms: Atoms, ensemble: str) -> None:
    if ensemble in MOVING_CELL and not atoms.pbc.all():
        raise PropertyError(
            f"{ensemble} needs a structure periodic in three directions; pbc is "
            f"{atoms.pbc.tolist()}. Use an nvt ensemble."
        )
    if ensemble in WITHOUT_CONSTRAINTS and atoms.constraints:
        raise PropertyError(
            f"{ensemble} takes no constraints, and the structure has {len(atoms.constraints)}. "
            "Remove them, or use npt-berendsen"
        )


def _prepare(start: Atoms, settings: DynamicsSettings, random: Any) -> Atoms:
    moving = start.copy()
    if not moving.constraints and len(moving) > 1:
        moving.set_constraint(FixCom())
    if not moving.has("momenta") or not np.any(moving.get_momenta()):
        widths = np.sqrt(moving.get_masses() * units.kB * settings.temperature_K)
        moving.set_momenta(random.standard_normal((len(moving), 3)) * widths[:, None])
    if settings.ensemble in WITHOUT_CONSTRAINTS:
        moving.set_momenta(moving.get_momenta())  # the constraint stops the center of mass
        moving.set_constraint()
    return moving


def _last_structure(trajectory: str | Path | None, calculator: BaseCalculator) -> Atoms:
    if trajectory is None or not Path(trajectory).is_file():
        raise DataError(f"there is no trajectory {trajectory} to resume; start without resume")
    with Trajectory(str(trajectory), "r") as frames:
        if len(frames) == 0:
            raise DataError(f"{trajectory} holds no structure; start without resume")
        last = Atoms(frames[-1])
    if STEP_KEY not in last.info:
        raise DataError(f"{trajectory} was not written by this workflow; start without resume")
    refuse_other_maker(last, calculator, trajectory)
    return last
