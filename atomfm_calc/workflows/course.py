"""The course of a dynamics run: a record now and then, to a trajectory, a table and the caller."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.io.trajectory import Trajectory

from atomfm_calc.units import GPA
from atomfm_calc.workflows.compute import MADE_BY_KEY, maker_of

STEP_KEY = "md_step"
"""Key of `atoms.info` in the trajectory; a resumed run goes on from it."""
TIME_KEY = "md_time_fs"
"""Key of `atoms.info` in the trajectory: the simulated time, for who evaluates it."""


class DynamicsStep(NamedTuple):
    """What is recorded."""

    step: int
    time_fs: float
    temperature_K: float
    potential_energy_eV: float
    kinetic_energy_eV: float
    total_energy_eV: float
    max_force_eV_per_angstrom: float
    volume_angstrom3: float | None = None
    """None where the cell does not move"""
    pressure_GPa: float | None = None
    """Of forces and momenta, compression positive; None where the cell does not move"""


def degrees_of_freedom(atoms: Atoms) -> int:
    """Those that share heat; without constraints the center of mass, at rest, does not count."""
    at_rest = 3 if len(atoms) > 1 and not atoms.constraints else 0
    return int(atoms.get_number_of_degrees_of_freedom()) - at_rest


def temperature_of(atoms: Atoms) -> float:
    """Temperature in K."""
    return 2.0 * float(atoms.get_kinetic_energy()) / (degrees_of_freedom(atoms) * units.kB)


class Course:
    """Keeps, writes and tells the records of one run."""

    def __init__(
        self,
        atoms: Atoms,
        timestep_fs: float,
        trajectory: str | Path | None,
        *,
        resume: bool,
        moving_cell: bool,
        on_record: Callable[[DynamicsStep], None] | None,
    ) -> None:
        self.moving_cell = moving_cell
        self.atoms, self.timestep_fs, self.on_record = atoms, timestep_fs, on_record
        self.records: list[DynamicsStep] = []
        self.last_step = 0
        self.trajectory = self.table = self.writer = None
        if trajectory is not None:
            self.trajectory = Trajectory(str(trajectory), "a" if resume else "w")
            table_path = Path(trajectory).with_suffix(".csv")
            self.table = table_path.open("a" if resume else "w", encoding="utf-8", newline="")
            self.writer = csv.writer(self.table)
            if not resume:
                self.writer.writerow(DynamicsStep._fields)

    def record(self, step: int) -> None:
        """Measure the present state and write it."""
        potential = float(self.atoms.get_potential_energy())
        kinetic = float(self.atoms.get_kinetic_energy())
        stress = self.atoms.get_stress(include_ideal_gas=True) if self.moving_cell else None
        record = DynamicsStep(
            step=step,
            time_fs=step * self.timestep_fs,
            temperature_K=temperature_of(self.atoms),
            potential_energy_eV=potential,
            kinetic_energy_eV=kinetic,
            total_energy_eV=potential + kinetic,
            max_force_eV_per_angstrom=float(np.linalg.norm(self.atoms.get_forces(), axis=1).max()),
            volume_angstrom3=float(self.atoms.get_volume()) if self.moving_cell else None,
            pressure_GPa=None if stress is None else -float(stress[:3].mean()) / GPA,
        )
        self.records.append(record)
        self.atoms.info[MADE_BY_KEY] = maker_of(self.atoms.calc)
        if self.trajectory is not None and self.table is not None and self.writer is not None:
            self.atoms.info |= {STEP_KEY: step, TIME_KEY: record.time_fs}
            self.trajectory.write(self.atoms)
            self.writer.writerow(["" if value is None else f"{value:.10g}" for value in record])
            self.table.flush()
        if self.on_record is not None:
            self.on_record(record)

    def close(self) -> None:
        """Close the files."""
        if self.trajectory is not None and self.table is not None:
            self.trajectory.close()
            self.table.close()

    def mean(self, name: str) -> float | None:
        """Of a field of the records after the first fifth; None if it was not recorded."""
        late = [getattr(record, name) for record in self.records[len(self.records) // 5 :]]
        return None if not late or late[0] is None else float(np.mean(late))

    def drift_meV_per_atom_per_ps(self) -> float | None:  # noqa: N802
        """Slope of the total energy; None for fewer than three records."""
        if len(self.records) < 3:
            return None
        times_ps = np.array([record.time_fs for record in self.records]) * 1e-3
        energies = np.array([record.total_energy_eV for record in self.records])
        return float(np.polyfit(times_ps, energies, 1)[0]) * 1e3 / len(self.atoms)
