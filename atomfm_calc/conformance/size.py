"""Checks of what size and surroundings may and may not change."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from atomfm_calc.conformance.outcome import Deviation, NotApplicableError
from atomfm_calc.conformance.state import fact
from atomfm_calc.conformance.structures import GAP, cut, in_box, is_upright, moved, rattled
from atomfm_calc.conformance.subject import FAR, FARTHER, Answer, Subject, reason_of

COPIES_APART = 60.0
"""Å"""
MIXED = {"slab": {2: False}, "chain": {1: False, 2: False}}
"""Name -> axes without periodicity."""
DECAY = 0.7
"""An interaction that falls off is smaller than this at twice the distance."""
MAX_ELEMENTS = 5


def supercell(subject: Subject) -> Iterator[Deviation]:
    """A crystal repeated twice along each axis has 8 times the energy and the same forces."""
    if not subject.crystals:
        raise NotApplicableError("computes no crystal")
    for name, atoms in subject.crystals.items():
        single = rattled(atoms)
        one = subject.compute(single)
        expected = Answer(8 * one.energy, np.tile(one.forces, (8, 1)))
        found = subject.compute(single * (2, 2, 2))
        yield from subject.compare(f"{name} 2×2×2", found, expected)


def far_copies(subject: Subject) -> Iterator[Deviation]:
    """Two copies of a molecule far apart have twice the energy and the same forces."""
    if not subject.molecules or subject.boxed:
        raise NotApplicableError("computes no molecule without periodic images; see supercell")
    for name, atoms in subject.molecules.items():
        single = rattled(atoms)
        pair = single + moved(single, np.array([COPIES_APART, 0.0, 0.0]))
        one = subject.compute(single)
        expected = Answer(2 * one.energy, np.tile(one.forces, (2, 1)))
        yield from subject.compare(f"two of {name}", subject.compute(pair), expected)


def locality(subject: Subject) -> Iterator[Deviation]:
    """A molecule does not feel another one move 20 Å away."""
    if not subject.molecules:
        raise NotApplicableError("computes no molecule")
    near, far = subject.far_effects[FAR], subject.far_effects[FARTHER]
    if not subject.is_local and far < DECAY * near:
        raise NotApplicableError(
            f"not local: a molecule that moves by 1 Å at {FAR:.0f} Å changes forces by {near:.1g} "
            f"eV/Å, at {FARTHER:.0f} Å by {far:.1g}"
        )
    what = f"force on a molecule when one {FAR:.0f} Å away moves by 1 Å"
    yield Deviation(what, near, subject.tolerances.forces, "eV/Å")


def mixed_pbc(subject: Subject) -> Iterator[Deviation]:
    """Slabs and chains are what they are in a periodic cell with a wide gap, wherever they are."""
    upright = {name: atoms for name, atoms in subject.crystals.items() if is_upright(atoms)}
    if not upright:
        raise NotApplicableError("computes no crystal with a rectangular cell")
    refusals: dict[str, str] = {}
    n_computed = 0
    for name, atoms in upright.items():
        for shape, axes in MIXED.items():
            part = cut(rattled(atoms), axes, GAP)
            try:
                found = subject.compute(part)
            except Exception as error:  # an open direction may be refused, aloud
                refusals[f"{shape} of {name}"] = reason_of(error)
                continue
            n_computed += 1
            shift = np.array([0.0, 0.0, 35.0])  # along a direction that is open in both
            yield from subject.compare(
                f"{shape} of {name}, moved", subject.compute(moved(part, shift)), found
            )
            if subject.is_local:
                periodic = cut(rattled(atoms), dict.fromkeys(axes, True), GAP)
                expected = subject.compute(periodic)
                yield from subject.compare(f"{shape} of {name}", found, expected)
    if not n_computed:
        raise NotApplicableError(f"refuses mixed boundaries: {next(iter(refusals.values()))}")


def lone_atoms(subject: Subject) -> Iterator[Deviation]:
    """A lone atom has an energy, the same everywhere, and no force."""
    refusals: dict[str, str] = {}
    for symbol in subject.symbols[:MAX_ELEMENTS]:
        atoms = Atoms(symbol, positions=[(0.0, 0.0, 0.0)])
        atoms = in_box(atoms) if subject.boxed or not subject.molecules else atoms
        try:
            here = subject.compute(atoms)
        except Exception as error:  # a lone atom may be refused, aloud
            refusals[symbol] = reason_of(error)
            continue
        yield fact(f"energies of a lone {symbol} that are not finite", not np.isfinite(here.energy))
        there = subject.compute(moved(atoms, np.array([3.0, -2.0, 50.0])))
        without = Answer(there.energy, np.zeros((1, 3)))
        yield from subject.compare(f"a lone {symbol}", here, without)
    if len(refusals) == len(subject.symbols[:MAX_ELEMENTS]):
        raise NotApplicableError(f"refuses lone atoms: {next(iter(refusals.values()))}")
