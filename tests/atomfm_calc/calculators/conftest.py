"""One tiny model folder for all tests of the calculators, and calculators made from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from tests.made.models import make_model_folder

Make = Callable[..., FoundationCalc]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def make_calc(model_folder: Path) -> Make:
    def make(head: str | None = "everything", **arguments: object) -> FoundationCalc:
        arguments = {"device": "cpu", "kernel": "reference"} | arguments
        return FoundationCalc(model_folder, head=head, **arguments)

    return make


@pytest.fixture
def salt() -> Atoms:
    """Rock salt, rattled: nothing is zero by symmetry."""
    atoms = bulk("NaCl", "rocksalt", a=5.4)
    atoms.rattle(0.1, seed=1)
    return atoms


@pytest.fixture
def ethanol() -> Atoms:
    return molecule("CH3CH2OH")
