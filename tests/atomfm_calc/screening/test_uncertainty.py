"""The column that says how uncertain a row is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from tests.atomfm_calc.screening.conftest import table
from tests.made.models import make_uncertain_folder

Screen = Callable[..., Path]
STRUCTURES = [molecule("H2O"), bulk("NaCl", "rocksalt", a=5.6), molecule("CH3CH2OH")]


@pytest.mark.parametrize("stage", [{}, {"forces": True}, {"heads": ["everything", "ions"]}])
def test_rows_have_the_uncertainty_that_the_calculator_gives(
    screen: Screen, tmp_path: Path, stage: dict[str, object]
) -> None:
    model, path = make_uncertain_folder(tmp_path / "model"), tmp_path / "candidates.extxyz"
    ase.io.write(path, STRUCTURES)
    stages = [{"name": "only", "heads": ["everything"], **stage}]
    candidates = {"kind": "files", "paths": [str(path)]}
    folder = screen(model=str(model), candidates=candidates, stages=stages)
    calc = FoundationCalc(model, head="everything", device="cpu")
    expected = [calc.uncertainty(atoms).per_atom for atoms in STRUCTURES]
    found = table(folder / "only")["uncertainty_per_atom"].to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # float32


def test_a_model_that_does_not_know_leaves_the_column_out(screen: Screen) -> None:
    folder = screen(stages=[{"name": "only", "heads": ["everything", "ions"]}])
    assert "uncertainty_per_atom" not in table(folder / "only").column_names
    assert "head_spread" in table(folder / "only").column_names
