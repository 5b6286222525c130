"""What precision and kernel change, measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule

from atomfm_calc.calculators.precision_card import measure_precision
from tests.made.models import make_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_folder(tmp_path_factory.mktemp("model") / "tiny")


def test_every_way_is_near_float64_in_plain_torch(model: Path) -> None:
    water = molecule("H2O")
    water.rattle(0.1, seed=0)
    card = measure_precision(model, structures=[water])
    assert card is not None
    ways = [(row.default_dtype, row.kernel, row.matmul_precision) for row in card.rows]
    assert ways[0] == ("float64", "reference", "highest")
    assert ("float64", "cpu", "highest") in ways
    assert ("float32", "cpu", "bf16") in ways
    limits = {"float64": 1e-6, "float32": 0.1}  # meV/Å; of forces of about 1e3
    for row in card.rows:
        if row.matmul_precision == "highest":
            assert row.forces_deviation_meV_per_angstrom < limits[row.default_dtype]
    bf16 = card.rows[-1].forces_deviation_meV_per_angstrom
    assert bf16 > 10 * card.rows[-2].forces_deviation_meV_per_angstrom
    assert card.n_heads == 3  # that know hydrogen and oxygen


def test_structures_that_no_head_knows_have_no_card(model: Path) -> None:
    assert measure_precision(model, structures=[Atoms("Og")]) is None
