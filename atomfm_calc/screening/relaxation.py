"""Relaxation of many structures at once: FIRE for each, one model call for all per step.

A structure that is relaxed leaves the batch and the next one takes its place. Cells are relaxed by
a strain of cell and positions together, whose driving force is -V stress; divided by the number of
atoms it is comparable with the force on an atom, as in ASE's `UnitCellFilter`.

Source: Bitzek et al., Structural relaxation made simple, Phys. Rev. Lett. 97, 170201 (2006), with
the usual parameters.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.calculators.budget import BatchBudget, Item, compute_in_batches
from atomfm_calc.calculators.evaluator import Evaluator, StructureResult
from atomfm_calc.errors import InsufficientMemoryError, NonFiniteError
from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.neighbors import SkinCache, graph_from_arrays
from atomfm_calc.screening.campaign import Relaxation
from atomfm_calc.screening.structures import StructureBlock

FIRST_TIMESTEP, LONGEST_TIMESTEP = 0.1, 1.0
STEPS_BEFORE_FASTER = 5
FASTER, SLOWER = 1.1, 0.5
FIRST_MIXING, MIXING_DECAY = 0.1, 0.99
LONGEST_STEP = 0.2
"""Å that an atom moves in a step at most; strains times 1 Å likewise."""
SKIN = 0.5
"""Å by which neighbor lists reach farther than the cutoff."""

Array = NDArray[np.float64]


class _Course:
    """The way of one structure to its minimum."""

    def __init__(self, row: int, block: StructureBlock, relax_cell: bool, cutoff: float) -> None:
        self.row = row
        atoms = slice(*block.first_atom[row : row + 2])
        self.atomic_numbers = block.atomic_numbers[atoms]
        self.positions, self.cell = block.positions[atoms].copy(), block.cell[row].copy()
        self.pbc = block.pbc[row]
        self.charge, self.multiplicity = int(block.charge[row]), int(block.multiplicity[row])
        self.relax_cell = relax_cell and bool(self.pbc.all())
        self.n_steps, self.is_relaxed, self.failure = 0, False, ""
        self._cache = SkinCache(cutoff, SKIN)
        self._velocity = np.zeros((len(self.positions) + 3, 3))  # of atoms, then of the strain
        self._timestep, self._mixing, self._n_downhill = FIRST_TIMESTEP, FIRST_MIXING, 0

    def graph(self, evaluator: Evaluator, uses_charge: bool) -> AtomicGraph:
        edges = self._cache.edges(self.positions, self.cell, self.pbc)
        return graph_from_arrays(
            self.atomic_numbers,
            self.positions - self.positions.mean(axis=0),
            self.cell,
            self.pbc,
            edges,
            charge=self.charge if uses_charge else 0,
            multiplicity=self.multiplicity if uses_charge else 1,
            dtype=evaluator.dtype,
        )

    def push(self, result: StructureResult) -> Array:
        """Generalized forces [N + 3, 3]: on the atoms, then on the strain times N."""
        strain_force = np.zeros((3, 3))
        if self.relax_cell and result.stress is not None:
            volume = abs(float(np.linalg.det(self.cell)))
            strain_force = -volume * result.stress / len(self.positions)
        return np.concatenate([np.asarray(result.forces), strain_force])

    def step(self, force: Array) -> None:
        """One FIRE step along generalized forces [N + 3, 3]."""
        power = float(np.vdot(force, self._velocity))
        if power > 0.0:
            ratio = np.linalg.norm(self._velocity) / max(float(np.linalg.norm(force)), 1e-30)
            self._velocity = (1.0 - self._mixing) * self._velocity + self._mixing * ratio * force
            self._n_downhill += 1
            if self._n_downhill > STEPS_BEFORE_FASTER:
                self._timestep = min(self._timestep * FASTER, LONGEST_TIMESTEP)
                self._mixing *= MIXING_DECAY
        elif self.n_steps:
            self._velocity = np.zeros_like(self._velocity)
            self._timestep, self._mixing, self._n_downhill = (
                self._timestep * SLOWER, FIRST_MIXING, 0
            )  # fmt: skip
        self._velocity = self._velocity + self._timestep * force
        change = self._timestep * self._velocity
        longest = float(np.linalg.norm(change, axis=1).max())
        change = change * min(1.0, LONGEST_STEP / max(longest, 1e-30))
        strain = np.eye(3) + change[-3:] / len(self.positions)
        self.positions = (self.positions + change[:-3]) @ strain
        self.cell = self.cell @ strain
        self.n_steps += 1


def relax_block(
    evaluator: Evaluator,
    head: str,
    block: StructureBlock,
    settings: Relaxation,
    budget: BatchBudget,
) -> tuple[StructureBlock, NDArray[np.int32], NDArray[np.bool_]]:
    """Relaxed structures, steps that each took, and whether it got there.

    Args:
        evaluator: model and settings.
        head: of the forces.
        block: checked structures that the head may compute.
        settings: of the campaign.
        budget: of a batch.

    Returns:
        The block, without structures that gave no finite forces or did not fit into memory, and
        n_steps [S], is_relaxed [S] of those that are left.
    """
    courses = [
        _Course(row, block, settings.cell, evaluator.model.cutoff) for row in range(len(block))
    ]
    waiting, active = deque(courses), list[_Course]()
    while waiting or active:
        while waiting and _fits(active, waiting[0], budget):
            active.append(waiting.popleft())
        for course, result in zip(active, _forces(evaluator, head, active, budget), strict=True):
            if result is None:
                continue
            force = course.push(result)
            course.is_relaxed = bool(np.linalg.norm(force, axis=1).max() <= settings.max_force)
            if not course.is_relaxed and course.n_steps < settings.max_steps:
                course.step(force)
            elif not course.is_relaxed:
                course.failure = "steps"
        active = [course for course in active if not (course.is_relaxed or course.failure)]
    return _collect(block, courses)


def _fits(active: list[_Course], course: _Course, budget: BatchBudget) -> bool:
    n_atoms = sum(len(one.positions) for one in active) + len(course.positions)
    return not active or n_atoms <= budget.max_atoms


def _forces(
    evaluator: Evaluator, head: str, courses: list[_Course], budget: BatchBudget
) -> list[StructureResult | None]:
    """Energy, forces and stress of each; None, and a failure, for one that has none."""
    uses_charge = evaluator.card.heads[head].uses_charge
    want = ["energy", "forces"]
    if any(course.relax_cell for course in courses):
        want.append("stress")
    items = [
        Item(place, course.graph(evaluator, uses_charge)) for place, course in enumerate(courses)
    ]

    def compute(batch: list[Item]) -> list[StructureResult | None]:
        try:
            return list(evaluator.evaluate(collate([item.graph for item in batch]), head, want))
        except NonFiniteError:
            if len(batch) > 1:
                return [one for item in batch for one in compute([item])]
            courses[batch[0].place].failure = "not-finite-result"
        except InsufficientMemoryError:
            if len(batch) > 1:
                raise  # the batch is divided
            courses[batch[0].place].failure = "out-of-memory"
        return [None]

    return list(compute_in_batches(items, budget, compute))


def _collect(
    block: StructureBlock, courses: list[_Course]
) -> tuple[StructureBlock, NDArray[np.int32], NDArray[np.bool_]]:
    if not courses:
        return block, np.zeros(0, np.int32), np.zeros(0, bool)
    positions, cell = block.positions.copy(), block.cell.copy()
    for course, (start, stop) in zip(courses, pairwise(block.first_atom), strict=True):
        positions[start:stop], cell[course.row] = course.positions, course.cell
    moved = replace(block, positions=positions, cell=cell)
    n_steps = np.array([course.n_steps for course in courses], dtype=np.int32)
    is_relaxed = np.array([course.is_relaxed for course in courses])
    failure = np.array([course.failure for course in courses])
    for reason in ("not-finite-result", "out-of-memory"):
        bad = failure == reason
        details = [f"in step {steps} of the relaxation" for steps in n_steps[bad]]
        moved = moved.reject(bad, reason, details)
        n_steps, is_relaxed, failure = n_steps[~bad], is_relaxed[~bad], failure[~bad]
    return moved, n_steps, is_relaxed
