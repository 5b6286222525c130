"""A sound calculator passes every check, and each check finds the calculator that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import all_changes
from ase.calculators.lj import LennardJones

from atomfm_calc.conformance import CHECKS
from atomfm_calc.conformance.examine import examine, run_check
from atomfm_calc.conformance.subject import Subject

STRUCTURES = {
    "argon": bulk("Ar", "fcc", a=4.2, cubic=True),
    "triangle": Atoms("ArNeAr", positions=[(0, 0, 0), (2.9, 0, 0), (0.4, 2.8, 0.3)]),
}


class Sound(LennardJones):
    """Lennard-Jones that goes smoothly to zero at its cutoff and refuses what is not finite."""

    def __init__(self) -> None:
        super().__init__(sigma=2.6, epsilon=0.05, rc=4.5, ro=3.0, smooth=True)

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        if not np.isfinite(atoms.positions).all():
            raise ValueError("positions are not finite")
        super().calculate(atoms, properties, system_changes)
        self.spoil(self.results, self.atoms)

    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        """What a broken calculator does on top."""


class Stale(Sound):
    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        return [] if self.results and len(self.atoms) == len(atoms) else list(all_changes)


class Forgetful(Sound):
    n_calls = 0

    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        self.n_calls += 1
        results["energy"] += 1e-3 * self.n_calls


class Scribbling(Sound):
    def calculate(self, atoms: Any = None, properties: Any = None, *others: Any) -> None:
        super().calculate(atoms, properties, *others)
        atoms.info["seen"] = True


class Unpicklable(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.hook = lambda: None


class Credulous(Sound):
    def calculate(self, atoms: Any = None, properties: Any = None, *others: Any) -> None:
        repaired = atoms.copy()
        repaired.positions = np.nan_to_num(repaired.positions, posinf=0.0)
        super().calculate(repaired, properties, *others)


class Scaled(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["forces"] = 1.001 * results["forces"]


class Pressed(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        if "stress" in results:
            results["stress"] = -results["stress"]


class Pushing(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["forces"] = results["forces"] + 0.3 * atoms.get_velocities()  # feeds energy in


class Oriented(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        axis = atoms.get_distance(0, 1, mic=True, vector=True)[2]
        results["energy"] += 1e-3 * axis**2


class Handed(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        a, b = (atoms.get_distance(0, i, mic=True, vector=True) for i in (1, 2))
        results["energy"] += 1e-3 * float(np.cross(a, b) @ (a + b + np.cross(a, b)) > 0)
        results["energy"] += 1e-3 * np.cross(a, b)[0]


class Placed(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["energy"] += 1e-4 * float(np.sin(atoms.positions).sum())


class Ordered(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["forces"][0] += 0.01


class Counting(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["energy"] += 1e-3 * len(atoms) ** 2


class Watchful(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["forces"] = results["forces"] + 1e-3 * np.ptp(atoms.positions[:, 0])


class Closed(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["energy"] += 0.01 * float(atoms.pbc.any() and not atoms.pbc.all())


class Restless(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        if len(atoms) == 1:
            results["forces"] = results["forces"] + 0.1


class Abrupt(Sound):
    def __init__(self) -> None:
        LennardJones.__init__(self, sigma=2.6, epsilon=0.05, rc=4.5, smooth=False)


class Kinked(Sound):
    def spoil(self, results: dict[str, Any], atoms: Atoms) -> None:
        results["forces"] = results["forces"] / np.sqrt(np.abs(results["forces"]) + 1e-9)


class Batched(Sound):
    def predict_many(self, structures: list[Atoms]) -> list[Any]:
        class Result:
            energy, forces = 0.0, np.zeros((1, 3))

        return [Result() for _ in structures]


BROKEN: dict[str, Callable[[], Any]] = {
    "cache": Stale,
    "repeatability": Forgetful,
    "side effects": Scribbling,
    "copies": Unpicklable,
    "not finite": Credulous,
    "forces": Scaled,
    "stress": Pressed,
    "energy conservation": Pushing,
    "rotation": Oriented,
    "reflection": Handed,
    "translation": Placed,
    "permutation": Ordered,
    "wrapping": Placed,
    "supercell": Counting,
    "far copies": Counting,
    "locality": Watchful,
    "mixed pbc": Closed,
    "lone atoms": Restless,
    "cutoff": Abrupt,
    "symmetric sites": Kinked,
    "batch": Batched,
}


@pytest.mark.slow
def test_a_sound_calculator_passes_every_check() -> None:
    card = examine("sound", Sound, STRUCTURES)
    assert {
        result.check: result.text for result in card.results if result.check in card.failed
    } == {}
    open_ones = [result for result in card.results if result.status == "not applicable"]
    assert [(result.check, result.reason) for result in open_ones] == [
        ("batch", "offers no predict_many(structures)")
    ]


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_finds_what_breaks_it(check: str) -> None:
    result = run_check(check, Subject(BROKEN[check], STRUCTURES, "float64"))
    assert result.status == "failed", result.text
