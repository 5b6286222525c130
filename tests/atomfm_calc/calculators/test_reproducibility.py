"""The same numbers again: to the bit on one number of threads, to rounding on another."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from atomfm_calc.calculators.calculator import FoundationCalc
from tests.atomfm_calc.calculators.conftest import Make
from tests.house.sources import ROOT
from tests.made.tolerances import TOLERANCES

RUN = """
import json, sys
import torch
from tests.atomfm_calc.calculators.test_reproducibility import structure
from atomfm_calc import FoundationCalc
torch.set_num_threads(int(sys.argv[1]))
for dtype in ("float32", "float64"):
    calc = FoundationCalc(sys.argv[2], head="everything", default_dtype=dtype, device="cpu")
    atoms = structure()
    atoms.calc = calc
    numbers = (atoms.get_potential_energy(), *atoms.get_forces().flat)
    print(json.dumps([float(number).hex() for number in numbers]))
"""


def structure() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.4, cubic=True) * (3, 3, 3)  # enough for both threads
    atoms.rattle(0.1, seed=1)
    return atoms


def numbers_on(n_threads: int, folder: Path) -> list[np.ndarray]:
    """Energy and forces, in float32 and float64, of a new process."""
    command = [sys.executable, "-c", RUN, str(n_threads), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [
        np.array([float.fromhex(x) for x in json.loads(one)]) for one in done.stdout.split("\n")[:2]
    ]


def test_processes_agree_to_the_bit_and_threads_to_rounding(model_folder: Path) -> None:
    one, again, two = (numbers_on(n_threads, model_folder) for n_threads in (1, 1, 2))
    for dtype, first, same, other in zip(
        (torch.float32, torch.float64), one, again, two, strict=True
    ):
        assert np.array_equal(first, same)
        tolerance = TOLERANCES[dtype]
        assert abs(first[0] - other[0]) <= tolerance.energy_eV * len(structure())
        assert np.abs(first[1:] - other[1:]).max() <= tolerance.forces


@pytest.mark.parametrize("kernel", ["reference", "cpu"])
def test_a_calculator_repeats_itself_to_the_bit(make_calc: Make, salt: Atoms, kernel: str) -> None:
    calc = make_calc(kernel=kernel)
    first, stress = calc.get_forces(salt), calc.get_stress(salt)
    calc.get_forces(salt * (2, 1, 1))
    assert np.array_equal(calc.get_forces(salt), first)
    assert np.array_equal(make_calc(kernel=kernel).get_stress(salt), stress)


def test_deterministic_algorithms_are_asked_for_while_computing_only(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    calc = make_calc(deterministic=True)
    energy_of = calc._evaluator.model.energy_of

    def watched(head: str) -> object:
        seen.append(torch.are_deterministic_algorithms_enabled())
        return energy_of(head)

    monkeypatch.setattr(calc._evaluator.model, "energy_of", watched)
    assert np.array_equal(calc.get_forces(salt), make_calc().get_forces(salt))
    assert seen == [True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert calc.todict()["deterministic"] is True


def test_the_fingerprint_names_all_that_made_a_number(model_folder: Path) -> None:
    calc = FoundationCalc(model_folder, head="crystals", device="cpu", kernel="reference")
    found = calc.fingerprint()
    assert found["model"] == "tiny 0.0.1"
    assert found["weights_sha256"] == calc.card.weights_sha256
    chosen = {name: found[name] for name in ("head", "kernel", "default_dtype", "device")}
    assert chosen == {
        "head": "crystals", "kernel": "reference", "default_dtype": "float32", "device": "cpu",
    }  # fmt: skip
    packages = ("atomfm", "torch", "ase", "numpy", "numba", "vesin")
    assert {name: found[name].split("+")[0] for name in packages} == {
        name: version(name).split("+")[0] for name in packages
    }
