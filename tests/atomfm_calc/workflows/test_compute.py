"""Many structures at once: in one call where the calculator has it, kept where a file is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from atomfm_calc.errors import DataError
from atomfm_calc.workflows.compute import compute_many


@pytest.fixture
def crystals() -> list[Atoms]:
    """Of several sizes."""
    found = [bulk("Cu", a=3.7), bulk("Cu", cubic=True), bulk("Al")]
    found[1].rattle(0.1, seed=0)
    return found


class Counting(EMT):
    """EMT that counts."""

    n_calls = 0

    def calculate(self, *arguments: Any, **named: Any) -> None:
        self.n_calls += 1
        super().calculate(*arguments, **named)


class Result(NamedTuple):
    energy: float
    forces: None = None
    stress: None = None


class Batched(EMT):
    """EMT with a batched door, which says what it was asked for."""

    def predict_many(self, structures: Sequence[Atoms], want: Sequence[str]) -> Iterator[Result]:
        assert tuple(want) == ("energy",)
        return (Result(float(len(atoms))) for atoms in structures)


def test_results_are_those_of_the_calculator(crystals: list[Atoms]) -> None:
    calc = Counting()
    found = compute_many(calc, crystals, want=("energy", "forces", "stress"))
    assert calc.n_calls == len(crystals)
    for atoms, one in zip(crystals, found, strict=True):
        assert atoms.calc is None
        atoms.calc = EMT()
        assert one.energy == atoms.get_potential_energy()
        assert np.array_equal(one.forces, atoms.get_forces())
        assert np.array_equal(one.stress, atoms.get_stress(voigt=False))


def test_a_calculator_that_takes_many_gets_all_of_them(crystals: list[Atoms]) -> None:
    assert [one.energy for one in compute_many(Batched(), crystals, ("energy",))] == [1, 4, 1]


def test_what_a_file_holds_is_not_computed_again(crystals: list[Atoms], tmp_path: Path) -> None:
    want, file = ("energy", "forces", "stress"), tmp_path / "kept.traj"
    compute_many(EMT(), [], want, keep=file)
    compute_many(Counting(), crystals[:2], want, keep=file)
    calc = Counting()
    found = compute_many(calc, crystals, want, keep=file)
    assert calc.n_calls == 1
    for kept, fresh in zip(found, compute_many(EMT(), crystals, want), strict=True):
        assert kept.energy == pytest.approx(fresh.energy)
        assert np.allclose(kept.forces, fresh.forces)
        assert np.allclose(kept.stress, fresh.stress)


def test_a_file_of_other_structures_or_another_calculator_is_refused(
    crystals: list[Atoms], tmp_path: Path
) -> None:
    file = tmp_path / "kept.traj"
    compute_many(EMT(), crystals, keep=file)
    with pytest.raises(DataError, match="holds other structures; remove it"):
        compute_many(EMT(), crystals[1:], keep=file)
    with pytest.raises(DataError, match=r"results of another calculator \(EMT\)"):
        compute_many(Counting(), crystals, keep=file)
