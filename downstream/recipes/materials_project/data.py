"""Materials Project: summary documents as its interface returns them, in .json files.

A file is one answer, `{"data": [{"material_id": ..., "structure": {...}, ...}], "meta": ...}`. The
recipe learns what the documents say of formation energy and band gap; a document without one of the
two has no such label.

Source: Jain et al., APL Mater. 1, 011002 (2013); api.materialsproject.org, materials/summary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from atomfm_calc.sample import Sample
from downstream.readers.extxyz_values import read_values
from downstream.readers.records import samples_of, scalar
from downstream.stand_in import STAND_INS, stand_in_path
from training.datasets.adapter import matching_files
from training.datasets.readers.json_entries import JsonObject, read_entries
from training.datasets.readers.pymatgen_structure import sample_of_structure

STAND_IN = f"{STAND_INS['compounds']} (stand-in)"
PATTERN = "summary*.json"
FIELDS = {"formation_energy": "formation_energy_per_atom", "band_gap": "band_gap"}
"""Target -> field of a document."""


def read(folder: Path) -> Iterator[Sample]:
    """Materials in the order of the files' names; `source` is the material's identifier.

    Raises:
        DataError: no such files, or a document that cannot be read; names file and document.
    """
    for path in matching_files(folder, (PATTERN,), f"holds no {PATTERN}; see the README"):
        yield from samples_of(path, partial(read_entries, key="data"), _sample)


def read_stand_in() -> Iterator[Sample]:
    """Elements and binary crystals with energy from atoms and gap, GFN1-xTB."""
    return read_values(stand_in_path("compounds"), {name: name for name in FIELDS})


def _sample(number: int, document: JsonObject) -> Sample:
    targets = {
        target: scalar(document[field], field)
        for target, field in FIELDS.items()
        if document.get(field) is not None
    }
    structure = sample_of_structure(document["structure"])
    return replace(structure, charge=0, targets=targets, source=str(document["material_id"]))
