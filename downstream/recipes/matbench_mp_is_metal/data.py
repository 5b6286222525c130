"""Matbench mp_is_metal: the published table and its official folds."""

from __future__ import annotations

from collections.abc import Iterator

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.matbench import MatbenchTask
from downstream.stand_in import STAND_INS, stand_in_path

TASK = MatbenchTask(
    name="mp_is_metal",
    column="is_metal",
    target="is_metal",
    n_structures=106113,
    is_classification=True,
)
STAND_IN = f"{STAND_INS['compounds']} (stand-in)"

read = TASK.read
read_folds = TASK.read_folds


def read_stand_in() -> Iterator[Sample]:
    """Elements and binary crystals, GFN1-xTB."""
    return read_values(stand_in_path("compounds"), {TASK.target: TASK.target})
