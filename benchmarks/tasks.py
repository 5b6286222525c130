"""What is timed, the same for every program: a task prepares a case and gives one repetition.

Forces are asked for through ASE, as dynamics does (asking some calculators for the energy as well
would make them compute twice); batches go through whatever the program offers for many structures.
A repetition begins where the one before it began, so that all repetitions do the same work,
whatever forces the random weights give.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from machine import free_accelerator_memory, peak_memory
from structures import LISTS, STRUCTURES

TIMESTEP_FS = 1.0
TEMPERATURE_K = 300.0
DISPLACEMENT = 0.01
"""Å, about what an atom moves in a step of dynamics."""

Case = Mapping[str, Any]
Facts = dict[str, Any]
Repetition = Callable[[], Facts]


class NotOfferedError(Exception):
    """The program has nothing for the task; the text says what is missing."""


class Program(Protocol):
    """One of the programs under test, with random weights of the same size."""

    device: str
    """"cpu" or "cuda"."""

    def calculator(self) -> Any:
        """For ASE; energy and forces."""

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """A function that computes energies and forces of all, from `Atoms` on."""

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """A function that makes one optimizer step on energies and forces of a ready batch."""

    def spent_on_neighbors(self) -> float | None:
        """Seconds so far in neighbor lists; None if the program does not tell."""


def latency(program: Program, case: Case) -> Repetition:
    """Forces of one structure that moved a little since the last call."""
    atoms = STRUCTURES[case["structure"]]()
    atoms.calc = program.calculator()
    # one more than calls: ASE computes nothing for the positions of the call before
    shape = (case["calls"] + 1, len(atoms), 3)
    moves = cycle(np.random.default_rng(2).normal(0.0, DISPLACEMENT, shape))
    start = atoms.get_positions()

    def repeat() -> Facts:
        for move in islice(moves, case["calls"]):
            atoms.set_positions(start + move)
            atoms.get_forces()
        return {"work": case["calls"]}

    return repeat


def dynamics(program: Program, case: Case) -> Repetition:
    """Velocity Verlet at 300 K, neighbor lists included; always from the same state."""
    atoms = STRUCTURES[case["structure"]]()
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE_K, rng=np.random.default_rng(1))
    Stationary(atoms)
    start, velocities = atoms.get_positions(), atoms.get_velocities()
    atoms.calc = program.calculator()

    def repeat() -> Facts:
        atoms.set_positions(start)
        atoms.set_velocities(velocities)
        before = program.spent_on_neighbors()
        VelocityVerlet(atoms, TIMESTEP_FS * units.fs).run(case["steps"])
        facts = {"work": case["steps"], "temperature_K": atoms.get_temperature()}
        if before is not None:
            facts["neighbor_seconds"] = program.spent_on_neighbors() - before
        return facts

    return repeat


def batch(program: Program, case: Case) -> Repetition:
    """Energies and forces of many structures."""
    structures = LISTS[case["structures"]](case["count"])
    compute = program.batch(structures, case)

    def repeat() -> Facts:
        compute()
        return {"work": len(structures), "n_atoms": sum(map(len, structures))}

    return repeat


def training(program: Program, case: Case) -> Repetition:
    """One optimizer step on small structures with random labels; the batch lies ready."""
    structures = LISTS[case["structures"]](case["count"])
    step = program.training(structures)

    def repeat() -> Facts:
        step()
        return {"work": 1}

    return repeat


def memory(program: Program, case: Case) -> Repetition:
    """Peak of one evaluation beyond what the process held before, MB; in a fresh process only."""
    small = STRUCTURES["MgO8"]()
    small.calc = program.calculator()
    small.get_forces()
    atoms = STRUCTURES[case["structure"]]()

    def repeat() -> Facts:
        gc.collect()
        if program.device == "cuda":
            before = free_accelerator_memory()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the peak so far becomes what is held
            before = peak_memory("cpu")
        atoms.calc = program.calculator()
        atoms.get_forces()
        return {"work": 1, "peak_MB": peak_memory(program.device) - before}

    return repeat


TASKS: dict[str, Callable[[Program, Case], Repetition]] = {
    "latency": latency,
    "dynamics": dynamics,
    "batch": batch,
    "training": training,
    "memory": memory,
}
