"""Rows of a block: what every structure has, beside the results of its evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from atomfm_calc.sample import Sample, composition_key
from atomfm_calc.screening.evaluation import Column, Columns, Ragged
from atomfm_calc.screening.structures import Rejection, StructureBlock


def describe(block: StructureBlock, with_structures: bool) -> Columns:
    """Columns of structures without results.

    Args:
        block: S structures.
        with_structures: positions and cells too.
    """
    first = block.first_atom
    columns: Columns = {
        "index": block.index,
        "id": block.names,
        "composition": [
            composition_key(
                Sample(
                    atomic_numbers=block.atomic_numbers[start:stop],
                    positions=block.positions[start:stop],
                )
            )
            for start, stop in pairwise(first)
        ],
        "n_atoms": block.n_atoms.astype(np.int32),
        "charge": block.charge.astype(np.int16),
        "multiplicity": block.multiplicity.astype(np.int16),
        "atomic_numbers": Ragged(block.atomic_numbers.astype(np.uint8), block.n_atoms),
    }
    if with_structures:
        columns["positions"] = Ragged(block.positions, block.n_atoms)
        columns["cell"] = block.cell
        columns["pbc"] = block.pbc
    return columns


def quarantine_rows(rejected: Sequence[Rejection]) -> Columns:
    """Columns of quarantined candidates, by index."""
    ordered = sorted(rejected, key=lambda rejection: (rejection.index, rejection.name))
    return {
        "index": np.array([rejection.index for rejection in ordered], dtype=np.int64),
        "id": [rejection.name for rejection in ordered],
        "reason": [rejection.reason for rejection in ordered],
        "detail": [rejection.detail for rejection in ordered],
    }


def join(parts: Sequence[Columns]) -> Columns:
    """The rows of several parts, one behind the other; all have the same columns."""
    return {name: _join([part[name] for part in parts]) for name in parts[0]}


def _join(columns: Sequence[Column]) -> Column:
    first = columns[0]
    if isinstance(first, Ragged):
        ragged = [column for column in columns if isinstance(column, Ragged)]
        return Ragged(
            np.concatenate([column.values for column in ragged]),
            np.concatenate([column.counts for column in ragged]),
        )
    if isinstance(first, np.ndarray):
        return np.concatenate([np.asarray(column) for column in columns])
    return [str(text) for column in columns for text in column]


def n_rows_of(columns: Columns) -> int:
    """Number of structures."""
    first = next(iter(columns.values()))
    return len(first.counts) if isinstance(first, Ragged) else len(first)
