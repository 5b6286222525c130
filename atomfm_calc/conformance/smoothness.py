"""Checks that energy and forces have no jumps, and forces no kinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, pairwise

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

from atomfm_calc.conformance.outcome import Deviation, NotApplicableError
from atomfm_calc.conformance.structures import in_box, rattled
from atomfm_calc.conformance.subject import Answer, Subject, reason_of
from atomfm_calc.conformance.tolerances import STIFFNESS_FAR, STIFFNESS_NEAR

LONGEST = 13.0
"""Å, end of the scan of a dimer."""
DIMER_STEP = 0.1
"""Å"""
EXPANSIONS = np.linspace(1.0, 1.3, 31)
"""Lengths of a crystal's cell over the first, while shells of neighbors cross the cutoff."""
N_SUSPECTS = 2
"""Steps of a scan that are looked at more closely, for energy and for forces."""
N_HALVINGS = 24
"""What is left of 0.1 Å is 6e-9 Å: nothing continuous changes over it."""
MAX_PAIRS = 2
DISPLACEMENTS = (0.001, 0.01, 0.1)
"""Å"""
SOFTEST = 5.0
"""eV/Å², between a soft mode and a bond; differences of stiffness are relative to no less."""

Path = Callable[[float], Answer]


def cutoff(subject: Subject) -> Iterator[Deviation]:
    """Energy and forces are continuous while atoms cross the cutoff: dimers, a growing crystal."""
    refusals: dict[str, str] = {}
    pairs = list(combinations_with_replacement(subject.symbols[:2], 2))[:MAX_PAIRS]
    for pair in pairs:
        radii = sum(covalent_radii[atomic_numbers[symbol]] for symbol in pair)
        distances = np.arange(1.1 * radii, LONGEST, DIMER_STEP)
        try:
            yield from _jumps(
                subject, _dimer(subject, pair), distances, f"of {pair[0]}–{pair[1]} at", "Å"
            )
        except Exception as error:  # some calculators take no dimer of some elements
            refusals["–".join(pair)] = reason_of(error)
    for name, atoms in list(subject.crystals.items())[:1]:
        yield from _jumps(
            subject,
            _growing(subject, rattled(atoms)),
            EXPANSIONS,
            f"of {name} expanded by",
            "times",
        )
    if len(refusals) == len(pairs) and not subject.crystals:
        raise NotApplicableError(f"refuses dimers: {next(iter(refusals.values()))}")


def _dimer(subject: Subject, symbols: tuple[str, str]) -> Path:
    def answer(distance: float) -> Answer:
        pair = Atoms(symbols, positions=[(0.0, 0.0, 0.0), (distance, 0.0, 0.0)])
        return subject.compute(in_box(pair, 2 * LONGEST + 4.0) if subject.boxed else pair)

    return answer


def _growing(subject: Subject, atoms: Atoms) -> Path:
    def answer(factor: float) -> Answer:
        grown = atoms.copy()
        grown.set_cell(factor * atoms.cell.array, scale_atoms=True)
        return subject.compute(grown)

    return answer


def _jumps(
    subject: Subject, path: Path, grid: NDArray[np.float64], where: str, unit: str
) -> Iterator[Deviation]:
    """The largest jumps of energy and forces, found by halving the most suspicious steps."""
    answers = [path(float(place)) for place in grid]
    limits = subject.tolerances
    for quantity, size, tolerance, force_unit in (
        ("energy", _energy_step, limits.energy_jump, "eV"),
        ("forces", _forces_step, limits.forces_jump, "eV/Å"),
    ):
        steps = np.array([size(a, b) for a, b in pairwise(answers)])
        places = _suspects(steps, tolerance)
        found = [_halved(path, grid, answers, place, size) for place in places]
        jump, place = max(found)
        what = f"jump of {quantity} {where} {place:.4f} {unit}"
        yield Deviation(what, jump, tolerance, force_unit)


def _energy_step(one: Answer, other: Answer) -> float:
    return abs(one.energy - other.energy)


def _forces_step(one: Answer, other: Answer) -> float:
    return float(np.abs(one.forces - other.forces).max())


def _suspects(steps: NDArray[np.float64], tolerance: float) -> list[int]:
    """Steps that are most times their neighbors: a cutoff lies where all is flat."""
    padded = np.pad(steps, 1, mode="edge")
    ratio = (steps + tolerance) / (0.5 * (padded[:-2] + padded[2:]) + tolerance)
    return [int(place) for place in np.argsort(ratio)[-N_SUSPECTS:]]


def _halved(
    path: Path,
    grid: NDArray[np.float64],
    answers: Sequence[Answer],
    start: int,
    size: Callable[[Answer, Answer], float],
) -> tuple[float, float]:
    """What remains of a step after always keeping the half that changes more, and where."""
    low, high = float(grid[start]), float(grid[start + 1])
    below, above = answers[start], answers[start + 1]
    for _ in range(N_HALVINGS):
        middle = 0.5 * (low + high)
        between = path(middle)
        if size(below, between) >= size(between, above):
            high, above = middle, between
        else:
            low, below = middle, between
    return size(below, above), low


def symmetric_sites(subject: Subject) -> Iterator[Deviation]:
    """The stiffness of an atom on a symmetric site is the same for ever smaller displacements.

    Forces of a smooth energy are proportional to small displacements. A kink, such as the length
    of a vector that vanishes on the site, gives a stiffness that grows as the displacement shrinks.
    """
    for name, atoms in subject.structures.items():
        near, middle, far = (_stiffness(subject, atoms, length) for length in DISPLACEMENTS)
        numbers = ", ".join(f"{value:.3g}" for value in (near, middle, far))
        what = f"stiffness of {name}, {numbers} eV/Å² at 0.001, 0.01, 0.1 Å"
        scale = max(abs(middle), SOFTEST)
        yield Deviation(f"{what}: 0.001 Å", abs(near - middle) / scale, STIFFNESS_NEAR, "")
        scale = max(abs(far), SOFTEST)
        yield Deviation(f"{what}: 0.01 Å", abs(middle - far) / scale, STIFFNESS_FAR, "")


def _stiffness(subject: Subject, atoms: Atoms, length: float) -> float:
    """Minus the force over the displacement of the first atom along x, even parts removed."""
    forces = []
    for sign in (1, -1):
        displaced = atoms.copy()
        displaced.positions[0, 0] += sign * length
        forces.append(subject.compute(displaced).forces[0, 0])
    return float(-(forces[0] - forces[1]) / (2.0 * length))
