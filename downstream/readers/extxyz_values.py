"""Extended XYZ with values of structures under names of their own: stand-ins and slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from downstream.readers.records import samples_of, scalar
from training.datasets.readers.extxyz import PREFIX
from training.datasets.readers.rows import Row, read_rows

POTENTIAL = {name: PREFIX + name for name in ("energy", "forces", "stress")}
"""Label -> its name in the files."""


def read_values(
    path: Path, columns: Mapping[str, str], factors: Mapping[str, float] | None = None
) -> Iterator[Sample]:
    """Structures with one or more values; those that have none of them are left out.

    Args:
        path: gzip or plain extended XYZ.
        columns: target -> name of the value in the file.
        factors: target -> what its value is multiplied by; 1 if it is not here.

    Yields:
        Samples whose `source` is the file's `source`, or "file name#frame", and whose `group` is
        the file's, if it has one.

    Raises:
        DataError: no such file, or a frame that cannot be read; names file and frame.
    """

    def sample_of(number: int, row: Row) -> Sample | None:
        structure = _structure(row)
        targets = {
            target: scalar(row.values[name], name, (factors or {}).get(target, 1.0))
            for target, name in columns.items()
            if name in row.values
        }
        return _named(structure, path, row, targets) if targets else None

    return samples_of(path, read_rows, sample_of)


def read_potential(path: Path, labels: tuple[str, ...]) -> Iterator[Sample]:
    """Structures with energy, forces, stress in eV, eV/Å, eV/Å³, as `POTENTIAL` names them.

    Args:
        path: gzip or plain extended XYZ.
        labels: all that every frame must have.

    Raises:
        DataError: as `read_values`; a frame lacks a label.
    """

    def sample_of(number: int, row: Row) -> Sample:
        structure = _structure(row)
        missing = [POTENTIAL[name] for name in labels if POTENTIAL[name] not in row.values]
        if missing:
            raise DataError(f"it has no {listing(missing)}; it has {listing(row.values)}")
        shapes = {"energy": (), "forces": (-1, 3), "stress": (3, 3)}
        targets = {
            name: np.asarray(row.values[POTENTIAL[name]], dtype=np.float64).reshape(shapes[name])
            for name in labels
        }
        return _named(structure, path, row, targets)

    return samples_of(path, read_rows, sample_of)


def _structure(row: Row) -> Sample:
    if row.structure is None:
        raise DataError(row.problem)
    return row.structure


def _named(structure: Sample, path: Path, row: Row, targets: Mapping[str, Any]) -> Sample:
    return replace(
        structure,
        targets=targets,
        source=str(row.values.get("source", f"{path.name}#{row.number}")),
        group=str(row.values.get("group", "")),
    )
