"""Matbench phonons: the published table and its official folds."""

from __future__ import annotations

from collections.abc import Iterator

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.matbench import MatbenchTask
from downstream.stand_in import STAND_INS, stand_in_path

TASK = MatbenchTask(
    name="phonons",
    column="last phdos peak",
    target="last_phonon_peak",
    n_structures=1265,
)
STAND_IN = f"{STAND_INS['alloys']} (stand-in)"

read = TASK.read
read_folds = TASK.read_folds


def read_stand_in() -> Iterator[Sample]:
    """Ordered alloys by effective medium theory."""
    return read_values(stand_in_path("alloys"), {TASK.target: TASK.target})
