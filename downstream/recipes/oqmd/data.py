"""OQMD: ABX3 compounds of the Open Quantum Materials Database, answers of its interface in .json.

A file is one answer, `{"data": [{"entry_id": ..., "unit_cell": [[...]], "sites": ["Al @ 0 0 0.5"],
"delta_e": ...}], ...}`: the cell in Å, sites in fractions of it, the formation energy in eV/atom.

If `oqmd_data.csv` of the ABX3 benchmark is there, only its entries are read, with its formation
energies (`Ef`), as HydraGNN's fine-tuning does.

Sources: Kirklin et al., npj Comput. Mater. 1, 15010 (2015); oqmd.org/oqmdapi;
github.com/chenebuah/ML_abx3_dataset.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.records import samples_of, scalar
from downstream.stand_in import STAND_INS, stand_in_path
from training.datasets.adapter import matching_files, named_record
from training.datasets.readers.json_entries import JsonObject, read_entries

STAND_IN = f"{STAND_INS['perovskites']} (stand-in)"
PATTERN = "oqmd*.json"
TABLE = "oqmd_data.csv"
TARGET = "formation_energy"


def read(folder: Path) -> Iterator[Sample]:
    """Compounds in the order of the files' names; `source` is "oqmd-ENTRY".

    Raises:
        DataError: no such files, or an entry that cannot be read; names file and entry.
    """
    chosen = _table(folder / TABLE) if (folder / TABLE).is_file() else None

    def sample_of(number: int, entry: JsonObject) -> Sample | None:
        if chosen is not None and entry["entry_id"] not in chosen:
            return None
        return _sample(entry, chosen)

    for path in matching_files(folder, (PATTERN,), f"holds no {PATTERN}; see the README"):
        yield from samples_of(path, partial(read_entries, key="data"), sample_of)


def read_stand_in() -> Iterator[Sample]:
    """Cubic ABX3 with energy from atoms, GFN1-xTB."""
    return read_values(stand_in_path("perovskites"), {TARGET: TARGET})


def _sample(entry: JsonObject, chosen: Mapping[int, float] | None) -> Sample:
    cell = np.array(entry["unit_cell"], dtype=np.float64)  # [3, 3] rows are the lattice vectors
    symbols, fractions = [], []
    for site in entry["sites"]:
        symbol, at, *place = site.split()
        if at != "@" or len(place) != 3 or symbol not in atomic_numbers:
            raise DataError(f"a site is {site!r}, not an element and its place: 'Al @ 0 0 0.5'")
        symbols.append(symbol)
        fractions.append(place)
    energy = entry["delta_e"] if chosen is None else chosen[entry["entry_id"]]
    return Sample(
        atomic_numbers=np.array([atomic_numbers[symbol] for symbol in symbols], dtype=np.int64),
        positions=np.array(fractions, dtype=np.float64) @ cell,
        cell=cell,
        pbc=np.ones(3, dtype=bool),
        targets={TARGET: scalar(energy, "delta_e")},
        source=f"oqmd-{entry['entry_id']}",
    )


def _table(path: Path) -> dict[int, float]:
    """eV per atom by entry."""
    with path.open(encoding="utf-8", newline="") as file:
        found = {}
        for number, row in enumerate(csv.DictReader(file, skipinitialspace=True)):
            with named_record(path, number):
                found[int(row["entry_id"])] = float(row["Ef"])
    return found
