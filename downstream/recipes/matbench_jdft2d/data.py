"""Matbench jdft2d: the published table and its official folds."""

from __future__ import annotations

from collections.abc import Iterator

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.matbench import MatbenchTask
from downstream.stand_in import STAND_INS, stand_in_path

TASK = MatbenchTask(
    name="jdft2d",
    column="exfoliation_en",
    target="exfoliation_energy",
    n_structures=636,
)
STAND_IN = f"{STAND_INS['layers']} (stand-in)"

read = TASK.read
read_folds = TASK.read_folds


def read_stand_in() -> Iterator[Sample]:
    """Energy that binds two single layers, GFN1-xTB."""
    return read_values(stand_in_path("layers"), {TASK.target: TASK.target})
