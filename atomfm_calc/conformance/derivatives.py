"""Checks that forces and stress are derivatives of the energy, and that dynamics conserves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from atomfm_calc.conformance.outcome import Deviation, NotApplicableError
from atomfm_calc.conformance.structures import moved, rattled, strained
from atomfm_calc.conformance.subject import Subject
from atomfm_calc.conformance.tolerances import CONSERVED_MEV_PER_ATOM

N_COORDINATES = 12
"""Of each structure, that are displaced."""
N_STEPS = 200
"""Of dynamics."""
TEMPERATURE_K = 300.0
"""Of its first velocities."""


def _slope(function: Callable[[float], float], step: float) -> float:
    """Derivative at 0 by central differences of fourth order."""
    near, far = (function(k * step) - function(-k * step) for k in (1, 2))
    return (8.0 * near - far) / (12.0 * step)


def forces(subject: Subject) -> Iterator[Deviation]:
    """Forces are minus the numerical derivative of the energy."""
    limits = subject.tolerances
    for name, atoms in subject.rattled.items():
        found = subject.compute(atoms).forces
        units_of = np.eye(found.size).reshape(-1, *found.shape)
        chosen = np.random.default_rng(0).permutation(found.size)[:N_COORDINATES]
        worst = max(
            abs(_slope(_along(subject, atoms, units_of[c]), limits.step) + found.flat[c])
            for c in chosen
        )
        what = f"forces of {name} against differences"
        yield Deviation(what, float(worst), limits.difference_forces, "eV/Å")


def _along(
    subject: Subject, atoms: Atoms, direction: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Callable[[float], float]:
    return lambda step: subject.energy(moved(atoms, step * direction))


def stress(subject: Subject) -> Iterator[Deviation]:
    """Stress is the numerical derivative of the energy by strain, over the volume."""
    if not subject.has_stress:
        raise NotApplicableError("computes no stress")
    limits = subject.tolerances
    for name, atoms in subject.crystals.items():
        atoms = rattled(atoms)
        found = subject.stressed(atoms).stress
        for row, column in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
            strain = np.zeros((3, 3))
            strain[row, column] += 0.5
            strain[column, row] += 0.5
            slope = _slope(_under(subject, atoms, strain), limits.strain) / atoms.get_volume()
            component = "xyz"[row] + "xyz"[column]
            what = f"stress {component} of {name} against differences"
            value = np.inf if found is None else abs(slope - found[row, column])
            yield Deviation(what, float(value), limits.difference_stress, "eV/Å³")


def _under(
    subject: Subject, atoms: Atoms, strain: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> Callable[[float], float]:
    return lambda step: subject.energy(strained(atoms, step * strain))


def conservation(subject: Subject) -> Iterator[Deviation]:
    """Newton's equations conserve the energy: 200 steps from 300 K, no thermostat."""
    for name, atoms in subject.one_of_each.items():
        moving = rattled(atoms)
        moving.calc = subject.make()
        spread = np.sqrt(moving.get_masses()[:, None] * units.kB * TEMPERATURE_K)
        moving.set_momenta(spread * np.random.default_rng(1).normal(size=(len(moving), 3)))
        timestep_fs = 0.25 if 1 in moving.numbers else 1.0
        energies: list[float] = []
        dynamics = VelocityVerlet(moving, timestep=timestep_fs * units.fs)
        dynamics.attach(_record, 1, moving, energies)
        dynamics.run(N_STEPS)
        quarter = N_STEPS // 4
        change = np.mean(energies[-quarter:]) - np.mean(energies[:quarter])
        value = 1e3 * abs(float(change)) / len(moving)
        yield Deviation(f"total energy of {name}", value, CONSERVED_MEV_PER_ATOM, "meV/atom")


def _record(atoms: Atoms, energies: list[float]) -> None:
    energies.append(float(atoms.get_total_energy()))
