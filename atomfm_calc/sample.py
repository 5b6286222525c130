"""`Sample`: one labeled structure as NumPy arrays, between a dataset file and a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.properties import PROPERTIES

MAX_ATOMIC_NUMBER = 118


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A structure and what is known about it."""

    atomic_numbers: NDArray[np.int64]
    """[N]"""
    positions: NDArray[np.float64]
    """[N, 3] Å"""
    cell: NDArray[np.float64] = field(default_factory=lambda: np.zeros((3, 3)))
    """[3, 3] Å, rows are the lattice vectors; zeros if not periodic"""
    pbc: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(3, dtype=bool))
    """[3]"""
    charge: int = 0
    """Total charge in e."""
    multiplicity: int = 1
    """2S+1."""
    targets: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Labels by property name: energy () eV, forces [N, 3] eV/Å, stress [3, 3] eV/Å³."""
    source: str = ""
    """Where it comes from, for every message: "file.extxyz.gz#12"."""
    group: str = ""
    """What is held out together: a trajectory, a molecule. Empty: the composition."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms N."""
        return len(self.atomic_numbers)


def composition_key(sample: Sample) -> str:
    """Reduced formula in order of atomic number ("H2O"): the unit of a composition split."""
    numbers, counts = np.unique(sample.atomic_numbers, return_counts=True)
    divisor = int(np.gcd.reduce(counts))
    return "".join(
        f"{chemical_symbols[number]}{count // divisor if count > divisor else ''}"
        for number, count in zip(numbers, counts, strict=True)
    )


def check_sample(sample: Sample) -> None:
    """Refuse a sample that cannot be right.

    Raises:
        DataError: wrong shape, unknown element, value not finite, periodic direction without a
            lattice vector, flat periodic cell, or a target of the wrong shape. Names `source`.
    """
    n_atoms = sample.n_atoms
    problems: list[str] = []
    if n_atoms == 0:
        problems.append("no atoms")
    elif sample.atomic_numbers.min() < 1 or sample.atomic_numbers.max() > MAX_ATOMIC_NUMBER:
        problems.append(f"atomic numbers must be 1..{MAX_ATOMIC_NUMBER}")
    if sample.positions.shape != (n_atoms, 3):
        problems.append(f"positions have shape {sample.positions.shape}, not ({n_atoms}, 3)")
    finite = np.isfinite(sample.positions).all() and np.isfinite(sample.cell).all()
    if not finite:
        problems.append("positions or cell are not finite")
    if sample.multiplicity < 1:
        problems.append(f"multiplicity is {sample.multiplicity}, must be at least 1")
    periodic = sample.cell[sample.pbc]
    if finite and len(periodic):
        volume = np.sqrt(max(np.linalg.det(periodic @ periodic.T), 0.0))
        if not volume > 1e-6:
            problems.append("the periodic lattice vectors span no volume")
    for name, value in sample.targets.items():
        problems.extend(_target_problems(name, np.asarray(value), n_atoms))
    if problems:
        raise DataError(f"{sample.source or 'sample'}: {'; '.join(problems)}")


def _target_problems(name: str, value: NDArray[np.float64], n_atoms: int) -> list[str]:
    if name not in PROPERTIES:
        return [f"unknown target {name!r}; known: {', '.join(PROPERTIES)}"]
    info = PROPERTIES[name]
    shape = info.tail if info.level == "structure" else (n_atoms, *info.tail)
    if value.shape != shape:
        return [f"{name} has shape {value.shape}, not {shape}"]
    if not np.isfinite(value).all():
        return [f"{name} is not finite"]
    return []
