"""Matbench perovskites: the published table and its official folds."""

from __future__ import annotations

from collections.abc import Iterator

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.matbench import MatbenchTask
from downstream.stand_in import STAND_INS, stand_in_path

TASK = MatbenchTask(
    name="perovskites",
    column="e_form",
    target="formation_energy",
    n_structures=18928,
)
STAND_IN = f"{STAND_INS['perovskites']} (stand-in)"

read = TASK.read
read_folds = TASK.read_folds


def read_stand_in() -> Iterator[Sample]:
    """Cubic ABX3 with the energy of the cell from isolated atoms, GFN1-xTB."""
    # the file has it per atom
    return read_values(
        stand_in_path("perovskites"), {TASK.target: TASK.target}, factors={TASK.target: 5.0}
    )
