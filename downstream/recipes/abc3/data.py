"""ABC3: ternary ABC3 compounds with formation energies in a table, structures of Materials Project.

`abc3_data.csv` names compounds by their Materials Project identifier; the structures come from the
interface of Materials Project in `summary*.json` (see the recipe materials-project). Identifiers
without a structure are left out, structures that the table does not name as well.

Source: github.com/chenebuah/ML_abx3_dataset, as used in
github.com/ORNL/HydraGNN_GFM_FineTuning4Materials, examples/abc3.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.records import samples_of, scalar
from downstream.stand_in import STAND_INS, stand_in_path
from training.datasets.adapter import matching_files, named_record
from training.datasets.readers.json_entries import JsonObject, read_entries
from training.datasets.readers.pymatgen_structure import sample_of_structure

STAND_IN = f"{STAND_INS['perovskites']} (stand-in)"
TABLE = "abc3_data.csv"
PATTERN = "summary*.json"
NAME, ENERGY = "mp_id", "formation_energy (eV/atom)"
TARGET = "formation_energy"


def read(folder: Path) -> Iterator[Sample]:
    """Compounds in the order of the structures; `source` is the Materials Project identifier.

    Raises:
        DataError: a file is missing or a row or document cannot be read; names file and record.
    """
    energies = _energies(folder / TABLE)

    def sample_of(number: int, document: JsonObject) -> Sample | None:
        name = str(document["material_id"])
        if name not in energies:
            return None
        structure = sample_of_structure(document["structure"])
        targets = {TARGET: scalar(energies[name], ENERGY)}
        return replace(structure, charge=0, targets=targets, source=name)

    for path in matching_files(folder, (PATTERN,), f"holds no {PATTERN}; see the README"):
        yield from samples_of(path, partial(read_entries, key="data"), sample_of)


def read_stand_in() -> Iterator[Sample]:
    """Cubic ABX3 with energy from atoms, GFN1-xTB."""
    return read_values(stand_in_path("perovskites"), {TARGET: TARGET})


def _energies(path: Path) -> dict[str, float]:
    """eV per atom by identifier; rows without a value are left out."""
    energies: dict[str, float] = {}
    if not path.is_file():
        raise DataError(f"there is no file {path}; the README says how to get it")
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, skipinitialspace=True)):
            with named_record(path, number):
                if row[ENERGY]:
                    energies[row[NAME]] = float(row[ENERGY])
    return energies
