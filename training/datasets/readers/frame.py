"""`Frame`: one structure as an ASE file holds it, before units and conventions are applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db.row import AtomsRow
from numpy.typing import NDArray

RESULTS = ("energy", "free_energy", "forces", "stress")
"""Labels by ASE's names."""
STRUCTURE = ("numbers", "positions", "cell", "pbc")
ENDINGS = (".xz", ".gz", ".extxyz", ".xyz", ".traj", ".aselmdb", ".db")


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A structure and its labels in the units of the file.

    Forces are those of the calculation: a constraint in the file, such as fixed atoms of a slab,
    sets none of them to zero.
    """

    atomic_numbers: NDArray[np.int64]
    """[N]"""
    positions: NDArray[np.float64]
    """[N, 3]"""
    cell: NDArray[np.float64]
    """[3, 3], rows are the lattice vectors"""
    pbc: NDArray[np.bool_]
    """[3]"""
    results: Mapping[str, NDArray[np.float64]]
    """What the file has of `RESULTS`, shapes as in the file."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Everything else that the file says about this structure."""
    file: str = ""
    """Name of the file without its endings: of a trajectory, where each has its own file."""


def frame_of_atoms(atoms: Atoms, path: Path) -> Frame:
    """A structure with the results of its calculator, as ASE reads extended XYZ and .traj files."""
    found = atoms.calc.results if atoms.calc is not None else {}
    return Frame(
        atomic_numbers=atoms.numbers.astype(np.int64),
        positions=np.array(atoms.positions, dtype=np.float64),
        cell=np.array(atoms.cell.array, dtype=np.float64),
        pbc=np.array(atoms.pbc),
        results=_results(found, atoms.info),
        info=dict(atoms.info),
        file=name_without_endings(path),
    )


def frame_of_row(row: AtomsRow, path: Path, metadata: Mapping[str, Any]) -> Frame:
    """A row of an ASE database.

    Labels are the columns of the calculator; if it left none, those that stand in the row's data.

    Args:
        row: as ASE reads it.
        path: the database.
        metadata: what the database says about all its rows; the row says it more precisely.
    """
    # the row's attributes hide a key-value pair that is called "charge", its dictionary does not
    columns = vars(row)
    data = dict(row.data)
    others = {
        name: value
        for name, value in columns.items()
        if not name.startswith("_") and name not in (*RESULTS, *STRUCTURE)
    }
    return Frame(
        atomic_numbers=np.asarray(columns["numbers"], dtype=np.int64),
        positions=np.array(columns["positions"], dtype=np.float64).reshape(-1, 3),
        cell=np.array(columns["cell"], dtype=np.float64).reshape(3, 3),
        pbc=np.array(columns["pbc"], dtype=bool),
        results=_results(columns, data),
        info={**metadata, **others, **data},
        file=name_without_endings(path),
    )


def name_without_endings(path: Path) -> str:
    """File name without the endings of formats: "a.b" of "a.b.extxyz.xz"."""
    name = path.name
    while name.endswith(ENDINGS):
        name = name.rpartition(".")[0]
    return name


def _results(*sources: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    results: dict[str, NDArray[np.float64]] = {}
    for source in sources:
        for name in RESULTS:
            if name not in results and source.get(name) is not None:
                results[name] = np.asarray(source[name], dtype=np.float64)
    return results
