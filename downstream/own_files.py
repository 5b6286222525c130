"""A user's own files as samples: labels of a potential, or properties by their keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError, lookup
from atomfm_calc.sample import Sample
from atomfm_calc.units import length_factor
from downstream.recipe import Recipe
from training.datasets.collected import EXTXYZ
from training.datasets.readers.rows import Row, read_rows
from training.own_data import OwnData


def read_own_samples(own: OwnData, recipe: Recipe) -> Iterator[Sample]:
    """All rows of a file, or of the files of a folder, in order.

    Labels of properties are taken as they are, in the unit that the recipe declares.

    Raises:
        DataError: no such file, or a row that cannot be read; names it.
    """
    dataset = EXTXYZ.described_by(own)
    for path in dataset.files(own.path):
        if recipe.potential is not None:
            yield from dataset.read(path)
        else:
            for row in read_rows(path):
                yield _sample(row, own, recipe, path)


def _sample(row: Row, own: OwnData, recipe: Recipe, path: Path) -> Sample:
    source = f"{path.name}#{row.number}"
    if row.structure is None:
        raise DataError(f"{source} cannot be read: {row.problem}")
    targets = {}
    for name in recipe.targets:
        if name in row.values:
            try:
                targets[name] = np.asarray(row.values[name], dtype=np.float64)
            except (ValueError, TypeError) as error:
                raise DataError(f"{source}: {name} is {row.values[name]!r}, no number") from error
    group = ""
    if own.group_key is not None:
        group = str(lookup(row.values, own.group_key, "key", source))
    length = length_factor(own.length_unit)
    return replace(
        row.structure,
        positions=row.structure.positions * length,
        cell=row.structure.cell * length,
        targets=targets,
        source=source,
        group=group,
    )
