"""`Subject`: a calculator under examination, what it can compute and how precisely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from atomfm_calc.conformance.outcome import Deviation
from atomfm_calc.conformance.structures import (
    CRYSTALS,
    MAX_GIVEN,
    MOLECULES,
    N_OF_EACH,
    in_box,
    rattled,
)
from atomfm_calc.conformance.tolerances import PRECISIONS
from atomfm_calc.errors import DataError, lookup

Array = NDArray[np.float64]
Factory = Callable[[], Any]
"""Makes a new calculator: anything that ASE accepts as one."""

FAR, FARTHER = 20.0, 40.0
"""Å between molecules that are not to feel each other."""


class Answer(NamedTuple):
    """What a calculator says about one structure."""

    energy: float
    """eV"""
    forces: Array
    """[N, 3] eV/Å"""
    stress: Array | None = None
    """[3, 3] eV/Å³; None if not asked for"""


def ask(calculator: Any, atoms: Atoms, *, stress: bool = False) -> Answer:
    """Compute a copy of a structure, through the door that users take."""
    own = atoms.copy()
    own.calc = calculator
    tension = voigt_6_to_full_3x3_stress(own.get_stress()) if stress else None
    forces = np.array(own.get_forces(), dtype=np.float64)
    return Answer(float(own.get_potential_energy()), forces, tension)


def reason_of(error: Exception) -> str:
    """Kind and first line of what a calculator raised."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


class Subject:
    """A calculator and the structures that it computes.

    Attributes:
        make: a new calculator at every call.
        calculator: one that is kept.
        crystals: name -> perfect crystal, or structure of the user, periodic in three directions.
        molecules: name -> structure without periodic directions, or in a periodic box if the
            calculator takes no other.
        boxed: whether the molecules are in boxes.
        refused: name -> why a structure was not computed.
        precision: key of `PRECISIONS`.
        precision_source: "stated" or "probed".
        tolerances: of that precision.
    """

    def __init__(
        self,
        make: Factory,
        structures: Mapping[str, Atoms] | None = None,
        precision: str | None = None,
    ) -> None:
        """Offer structures to the calculator and keep those that it computes.

        Args:
            make: makes a new calculator.
            structures: of the user, up to `MAX_GIVEN`; None: `CRYSTALS` and `MOLECULES`.
            precision: key of `PRECISIONS`; None: found from the forces.

        Raises:
            UnknownNameError: no such precision.
            DataError: the calculator computes none of the structures; the message has its reasons.
        """
        if precision is not None:
            lookup(PRECISIONS, precision, "precision", "the conformance kit")
        self.make = make
        self.calculator = make()
        self.refused: dict[str, str] = {}
        self.boxed = False
        self.crystals: dict[str, Atoms] = {}
        self.molecules: dict[str, Atoms] = {}
        if structures is None:
            self._offer({name: build() for name, build in CRYSTALS.items()}, self.crystals)
            self._offer({name: build() for name, build in MOLECULES.items()}, self.molecules)
        else:
            given = dict(list(structures.items())[:MAX_GIVEN])
            periodic = {name: bool(atoms.pbc.all()) for name, atoms in given.items()}
            self._offer({name: given[name] for name in given if periodic[name]}, self.crystals)
            self._offer({name: given[name] for name in given if not periodic[name]}, self.molecules)
        if not self.rattled:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.refused.items())
            raise DataError(
                f"the calculator computes none of the structures ({reasons}); give some that it "
                "is meant for"
            )
        self.precision = precision or self._probed_precision()
        self.precision_source = "probed" if precision is None else "stated"
        self.tolerances = PRECISIONS[self.precision]

    def _offer(self, offered: Mapping[str, Atoms], accepted: dict[str, Atoms]) -> None:
        """Take what the calculator computes; molecules again in boxes if it takes none."""
        for name, atoms in offered.items():
            if len(accepted) < N_OF_EACH and self._computes(name, atoms):
                accepted[name] = atoms
        if accepted is not self.molecules or accepted or not offered:
            return
        for name, atoms in offered.items():
            boxed = in_box(atoms)
            if len(accepted) < N_OF_EACH and self._computes(f"{name} in a box", boxed):
                accepted[f"{name} in a box"] = boxed
        self.boxed = bool(accepted)

    def _computes(self, name: str, atoms: Atoms) -> bool:
        try:
            answer = ask(self.calculator, rattled(atoms))
        except Exception as error:  # other people's calculators raise anything
            self.refused[name] = reason_of(error)
            self.calculator = self.make()
            return False
        if not np.isfinite([answer.energy, *answer.forces.flat]).all():
            self.refused[name] = "energy or forces are not finite"
            return False
        return True

    def _probed_precision(self) -> str:
        """Whether all forces are exact numbers of float32, which those of float64 never are."""
        forces = np.concatenate([ask(self.calculator, a).forces for a in self.rattled.values()])
        exact = forces.astype(np.float32).astype(np.float64) == forces
        return "float32" if exact.all() else "float64"

    @property
    def structures(self) -> dict[str, Atoms]:
        """All that the calculator computes, by name."""
        return self.crystals | self.molecules

    @property
    def rattled(self) -> dict[str, Atoms]:
        """The same, with all atoms moved a little."""
        return {name: rattled(atoms) for name, atoms in self.structures.items()}

    @property
    def one_of_each(self) -> dict[str, Atoms]:
        """The crystal and the molecule with most elements."""
        chosen = {}
        for group in (self.crystals, self.molecules):
            if group:
                name = max(group, key=lambda one: len(set(group[one].numbers)))
                chosen[name] = group[name]
        return chosen

    @property
    def symbols(self) -> list[str]:
        """Elements of the structures, in the order in which they come."""
        every = [s for atoms in self.structures.values() for s in atoms.get_chemical_symbols()]
        return list(dict.fromkeys(every))

    @cached_property
    def has_stress(self) -> bool:
        """Whether it computes stress of the first crystal."""
        if not self.crystals:
            return False
        try:
            self.stressed(next(iter(self.crystals.values())))
        except PropertyNotImplementedError:
            return False
        return True

    def stressed(self, atoms: Atoms) -> Answer:
        """Energy, forces and stress."""
        return ask(self.calculator, atoms, stress=True)

    def compute(self, atoms: Atoms) -> Answer:
        """Energy and forces, by the calculator that is kept."""
        return ask(self.calculator, atoms)

    def energy(self, atoms: Atoms) -> float:
        """Energy alone, eV."""
        own = atoms.copy()
        own.calc = self.calculator
        return float(own.get_potential_energy())

    def compare(self, what: str, found: Answer, expected: Answer) -> Iterator[Deviation]:
        """Deviations between two answers that are to be the same."""
        n_atoms, limits = len(expected.forces), self.tolerances
        energy = abs(found.energy - expected.energy) / n_atoms
        yield Deviation(f"energy of {what}", energy, limits.energy, "eV/atom")
        forces = np.abs(found.forces - expected.forces).max()
        yield Deviation(f"forces of {what}", float(forces), limits.forces, "eV/Å")
        if found.stress is not None and expected.stress is not None:
            stress = np.abs(found.stress - expected.stress).max()
            yield Deviation(f"stress of {what}", float(stress), limits.stress, "eV/Å³")

    @cached_property
    def far_effects(self) -> dict[float, float]:
        """Distance -> largest change of force on a molecule when a far one moves by 1 Å, eV/Å."""
        effects = {}
        atoms = next(iter(self.molecules.values()))
        for distance in (FAR, FARTHER):
            forces = []
            for step in (0.0, 1.0):
                pair = atoms.copy()
                other = atoms.copy()
                other.positions += [distance + step, 0.0, 0.0]
                pair += other
                pair = in_box(pair, 2.5 * FARTHER) if self.boxed else pair
                forces.append(self.compute(pair).forces[: len(atoms)])
            effects[distance] = float(np.abs(forces[1] - forces[0]).max())
        return effects

    @property
    def is_local(self) -> bool:
        """Whether a molecule feels nothing of another one far away; True if there is none."""
        return not self.molecules or self.far_effects[FAR] <= self.tolerances.forces
