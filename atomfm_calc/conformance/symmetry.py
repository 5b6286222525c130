"""Checks that energy does not depend on how a structure is written down, and forces follow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.conformance.outcome import Deviation
from atomfm_calc.conformance.structures import REFLECTION, ROTATION, moved, transformed
from atomfm_calc.conformance.subject import Answer, Subject, ask


def _answer(subject: Subject, atoms: Atoms) -> Answer:
    return ask(subject.calculator, atoms, stress=subject.has_stress and bool(atoms.pbc.all()))


def _turned(subject: Subject, how: str, matrix: NDArray[np.float64]) -> Iterator[Deviation]:
    for name, atoms in subject.rattled.items():
        before, found = _answer(subject, atoms), _answer(subject, transformed(atoms, matrix))
        stress = None if before.stress is None else matrix @ before.stress @ matrix.T
        expected = Answer(before.energy, before.forces @ matrix.T, stress)
        yield from subject.compare(f"{name}, {how}", found, expected)


def rotation(subject: Subject) -> Iterator[Deviation]:
    """A rotated structure has the same energy; forces and stress turn with it."""
    yield from _turned(subject, "rotated", ROTATION)


def reflection(subject: Subject) -> Iterator[Deviation]:
    """A mirror image has the same energy; forces and stress are those of the mirror."""
    yield from _turned(subject, "reflected", REFLECTION)


def translation(subject: Subject) -> Iterator[Deviation]:
    """Moving all atoms by one vector changes nothing."""
    for name, atoms in subject.rattled.items():
        found = _answer(subject, moved(atoms, np.array([1.7, -11.3, 23.9])))
        yield from subject.compare(f"{name}, moved", found, _answer(subject, atoms))


def permutation(subject: Subject) -> Iterator[Deviation]:
    """Atoms in another order have the same forces, in that order."""
    for name, atoms in subject.rattled.items():
        order = np.random.default_rng(5).permutation(len(atoms))
        before = _answer(subject, atoms)
        expected = Answer(before.energy, before.forces[order], before.stress)
        found = _answer(subject, atoms[order])
        yield from subject.compare(f"{name}, in another order", found, expected)


def wrapping(subject: Subject) -> Iterator[Deviation]:
    """Atoms moved by whole lattice vectors are the same atoms."""
    for name, atoms in subject.rattled.items():
        if not atoms.pbc.any():
            continue
        cells = np.random.default_rng(3).integers(-2, 3, (len(atoms), 3)) * atoms.pbc
        found = _answer(subject, moved(atoms, cells @ atoms.cell.array))
        yield from subject.compare(f"{name}, unwrapped", found, _answer(subject, atoms))
