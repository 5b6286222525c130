"""Checks of what a calculator remembers, and of what it leaves behind."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ase import Atoms

from atomfm_calc.conformance.outcome import Deviation, NotApplicableError
from atomfm_calc.conformance.structures import rattled
from atomfm_calc.conformance.subject import Answer, Subject, ask, reason_of


def fact(what: str, n_violations: int) -> Deviation:
    """A count that has to be zero."""
    return Deviation(what, float(n_violations), 0.0, "")


def _move(atoms: Atoms) -> None:
    atoms.positions[0, 0] += 0.1  # in place, past all setters


def _strain(atoms: Atoms) -> None:
    atoms.set_cell(1.05 * atoms.cell.array)  # of a molecule: no change


def _swap(atoms: Atoms) -> None:
    atoms.numbers[:] = atoms.numbers[::-1]


def _open(atoms: Atoms) -> None:
    atoms.pbc = atoms.pbc & (True, True, False)


def _charge_info(atoms: Atoms) -> None:
    atoms.info["charge"] = 1
    atoms.info["spin"] = 2


def _charge_atoms(atoms: Atoms) -> None:
    atoms.set_initial_charges([1.0, *[0.0] * (len(atoms) - 1)])


CHANGES: dict[str, Callable[[Atoms], None]] = {
    "positions in place": _move,
    "cell": _strain,
    "numbers": _swap,
    "pbc": _open,
    "charge and spin in info": _charge_info,
    "initial charges": _charge_atoms,
}
"""What may change between two calculations with the same `atoms` object."""


def cache(subject: Subject) -> Iterator[Deviation]:
    """After any change of the structure the same calculator says what a new one says."""
    for change_name, change in CHANGES.items():
        for name, atoms in subject.one_of_each.items():
            same = rattled(atoms)
            same.calc = subject.make()
            same.get_forces()
            change(same)
            what = f"{name} after a change of {change_name}"
            found, expected = _attempt(same), _attempt(same, subject.make())
            if isinstance(found, str) or isinstance(expected, str):
                both = isinstance(found, str) and isinstance(expected, str)
                yield fact(f"{what}: {found} against {expected}" if not both else what, not both)
            else:
                yield from subject.compare(what, found, expected)


def _attempt(atoms: Atoms, calculator: Any = None) -> Answer | str:
    """The answer, or what was raised. Without `calculator`: that of `atoms`, on `atoms` itself."""
    try:
        if calculator is not None:
            return ask(calculator, atoms)
        forces = np.array(atoms.get_forces(), dtype=np.float64)
        return Answer(float(atoms.get_potential_energy()), forces)
    except Exception as error:  # an error is an answer too, if a new calculator gives it as well
        return reason_of(error)


def repeatability(subject: Subject) -> Iterator[Deviation]:
    """The same structure gives the same numbers again, whatever was computed in between."""
    first = {name: subject.compute(atoms) for name, atoms in subject.rattled.items()}
    for name, atoms in reversed(subject.rattled.items()):
        yield from subject.compare(f"{name}, again", subject.compute(atoms), first[name])
        yield from subject.compare(
            f"{name}, a new calculator", ask(subject.make(), atoms), first[name]
        )


def side_effects(subject: Subject) -> Iterator[Deviation]:
    """Computing changes nothing of the caller's structure, and results are the caller's own."""
    for name, atoms in subject.rattled.items():
        atoms.positions += 20.0  # outside of the cell, for calculators that wrap
        atoms.info["note"] = "the caller's"
        before, info = atoms.copy(), dict(atoms.info)
        atoms.calc = subject.calculator
        forces = atoms.get_forces()
        energy = atoms.get_potential_energy()
        arrays_kept = set(atoms.arrays) == set(before.arrays) and all(
            np.array_equal(atoms.arrays[key], before.arrays[key]) for key in before.arrays
        )
        yield fact(f"changed arrays of {name}", not arrays_kept)
        yield fact(f"changed info of {name}", atoms.info != info)
        yield fact(f"changed cell or pbc of {name}", atoms != before)
        kept = forces.copy()
        forces += 1.0
        changed = atoms.get_forces() != kept
        yield fact(f"forces of {name} that changed with the caller's array", int(changed.sum()))
        again = atoms.get_potential_energy()
        yield fact(f"energy of {name} that changed when asked again", again != energy)


def copies(subject: Subject) -> Iterator[Deviation]:
    """A deep copy and a pickled calculator, as worker processes get it, give the same numbers."""
    name, atoms = next(iter(subject.rattled.items()))
    expected = subject.compute(atoms)
    copied = copy.deepcopy(subject.calculator)
    sent = pickle.loads(pickle.dumps(subject.calculator))  # of our own making, never a file
    for how, calculator in (("deep copy", copied), ("pickled", sent)):
        moved = atoms.copy()
        moved.positions += 0.01 * np.arange(3 * len(atoms)).reshape(-1, 3) % 0.1
        ask(calculator, moved)
        yield from subject.compare(f"{name}, {how}", ask(calculator, atoms), expected)
        yield from subject.compare(
            f"{name}, original of the {how}", subject.compute(atoms), expected
        )


def not_finite(subject: Subject) -> Iterator[Deviation]:
    """Positions that are not finite raise an error, and the next structure is computed."""
    name, atoms = next(iter((subject.molecules or subject.crystals).items()))
    atoms = rattled(atoms)
    expected = subject.compute(atoms)
    for bad in (np.nan, np.inf):
        calculator = subject.make()
        broken = atoms.copy()
        broken.positions[0, 1] = bad
        broken.calc = calculator
        found = _attempt(broken)
        if isinstance(found, str):  # any error is right
            yield fact(f"numbers for a position of {bad}", 0)
        else:
            yield fact(f"numbers for a position of {bad} in {name}: {found.energy} eV", 1)
        after = _attempt(atoms, calculator)
        if isinstance(after, str):
            yield fact(f"calculations of {name} that fail after one of {bad}: {after}", 1)
        else:
            yield from subject.compare(f"{name} after {bad}", after, expected)


def batch(subject: Subject) -> Iterator[Deviation]:
    """`predict_many`, where there is one, says of each structure what a single call says."""
    together = getattr(subject.calculator, "predict_many", None)
    if together is None:
        raise NotApplicableError("offers no predict_many(structures)")
    structures = {**subject.rattled, "a larger crystal": _larger(subject)}
    results = together(list(structures.values()))
    for (name, atoms), result in zip(structures.items(), results, strict=True):
        found = Answer(float(result.energy), np.asarray(result.forces))
        yield from subject.compare(f"{name} in a batch", found, subject.compute(atoms))


def _larger(subject: Subject) -> Atoms:
    atoms = rattled(next(iter(subject.structures.values())))
    return atoms * tuple(1 + atoms.pbc.astype(int))
