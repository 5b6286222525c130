"""What a head was trained on, in numbers that can be added up: for the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.registry.card import PERIODICITIES
from training.data.packed import PackedGraphs
from training.data.statistics import composition_matrix

Summary = dict[str, Any]


def describe(chosen: PackedGraphs, n_structures: Mapping[str, int]) -> Summary:
    """Summary of training structures.

    Args:
        chosen: the training structures; their edges are not read.
        n_structures: split -> number of structures, kept as it is.

    Returns:
        `elements` (symbol -> structures), `n_structures`, `n_atoms`, `n_edges`, `periodicity`
        (words of `PERIODICITIES`), `charges` in e, `multiplicities`, `labels` (property -> labeled
        structures); plain values that JSON can hold.
    """
    columns = chosen.columns
    numbers = columns["atomic_numbers"].numpy().astype(np.int64)
    present = composition_matrix(numbers, chosen.n_atoms) > 0
    n_periodic = columns["pbc"].sum(dim=1).numpy()
    first_atoms = chosen.first_atom[:-1]
    return {
        "elements": {
            chemical_symbols[z]: int(present[:, z].sum()) for z in np.flatnonzero(present.any(0))
        },
        "n_structures": dict(n_structures),
        "n_atoms": int(chosen.n_atoms.sum()),
        "n_edges": int(chosen.n_edges.sum()),
        "periodicity": [PERIODICITIES[count] for count in np.unique(n_periodic)],
        "charges": _whole(columns["charge"].numpy()),
        "multiplicities": _whole(columns["multiplicity"].numpy()),
        "labels": {
            "energy": _n_labeled(columns["energy"].numpy()),
            "forces": _n_labeled(columns["forces"].numpy()[first_atoms]),
            "stress": _n_labeled(columns["stress"].numpy()),
        },
    }


def merge(parts: Sequence[Summary]) -> Summary:
    """The summary of all structures of `parts` together; no parts: that of no structures."""
    symbols = {symbol for part in parts for symbol in part["elements"]}
    words = {word for part in parts for word in part["periodicity"]}
    return {
        "elements": _added(parts, "elements", sorted(symbols, key=chemical_symbols.index)),
        "n_structures": _added(parts, "n_structures", _keys(parts, "n_structures")),
        "n_atoms": sum(part["n_atoms"] for part in parts),
        "n_edges": sum(part["n_edges"] for part in parts),
        "periodicity": [kind for kind in PERIODICITIES if kind in words],
        "charges": sorted({value for part in parts for value in part["charges"]}),
        "multiplicities": sorted({value for part in parts for value in part["multiplicities"]}),
        "labels": _added(parts, "labels", _keys(parts, "labels")),
    }


def _keys(parts: Sequence[Summary], field: str) -> list[str]:
    return list(dict.fromkeys(key for part in parts for key in part[field]))


def _added(parts: Sequence[Summary], field: str, keys: Sequence[str]) -> dict[str, int]:
    return {key: sum(part[field].get(key, 0) for part in parts) for key in keys}


def _whole(values: NDArray[np.float32]) -> list[int]:
    return [int(value) for value in np.unique(values)]


def _n_labeled(values: NDArray[Any]) -> int:
    labeled = np.isfinite(values.reshape(len(values), int(np.prod(values.shape[1:]))))
    return int(labeled.all(axis=1).sum())
