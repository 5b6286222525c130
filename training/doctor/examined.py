"""A file in memory, as the checks see it: its readable rows as arrays, the others by reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample, composition_key
from training.data.statistics import composition_matrix
from training.datasets.own import LABELS, OwnRow, read_own
from training.doctor.surroundings import Surroundings, surroundings_of
from training.own_data import OwnData

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Examined:
    """S usable rows of a file, and what is wrong with the rest."""

    own: OwnData
    """The file, its keys and units."""
    n_rows: int
    """Rows in the file."""
    unreadable: dict[int, str]
    """Row -> why it cannot be read."""
    impossible: dict[int, str]
    """Row -> why its structure cannot be right."""
    not_finite: dict[str, list[int]]
    """Label -> rows where it is NaN or infinite."""
    keys: tuple[str, ...]
    """All keys of the file that could hold labels."""
    rows: tuple[OwnRow, ...]
    """The usable rows [S]."""
    samples: tuple[Sample, ...]
    """Their structures [S], with the finite labels only."""

    @cached_property
    def numbers(self) -> Index:
        """Place in the file [S]."""
        return np.array([row.number for row in self.rows], dtype=np.int64)

    @cached_property
    def n_atoms(self) -> Index:
        """Atoms of each structure [S]."""
        return np.array([sample.n_atoms for sample in self.samples], dtype=np.int64)

    @cached_property
    def energies(self) -> Floats:
        """[S] eV, NaN where there is no label."""
        values = (sample.targets.get("energy", np.nan) for sample in self.samples)
        return np.array([float(value) for value in values])

    @cached_property
    def rms_forces(self) -> Floats:
        """Root mean square of the force components of each structure [S] in eV/Å, NaN: none."""
        forces = (sample.targets.get("forces") for sample in self.samples)
        return np.array([np.nan if f is None else np.sqrt(np.mean(f**2)) for f in forces])

    @cached_property
    def stresses(self) -> Floats:
        """[S, 3, 3] eV/Å³, NaN where there is no label."""
        missing = np.full((3, 3), np.nan)
        values = [sample.targets.get("stress", missing) for sample in self.samples]
        return np.array(values).reshape(-1, 3, 3)

    @cached_property
    def volumes(self) -> Floats:
        """[S] Å³, NaN where a structure is not periodic in three directions."""
        return np.array(
            [abs(np.linalg.det(s.cell)) if s.pbc.all() else np.nan for s in self.samples]
        )

    @cached_property
    def counts(self) -> Floats:
        """Number of atoms of each element in each structure [S, 119]."""
        if not self.samples:
            return np.zeros((0, 119))
        numbers = np.concatenate([sample.atomic_numbers for sample in self.samples])
        return composition_matrix(numbers, self.n_atoms)

    @cached_property
    def compositions(self) -> list[str]:
        """Reduced formula of each structure [S]."""
        return [composition_key(sample) for sample in self.samples]

    @cached_property
    def surroundings(self) -> list[Surroundings]:
        """What is near the atoms of each structure [S]."""
        return [surroundings_of(sample) for sample in self.samples]

    def rows_where(self, chosen: NDArray[np.bool_]) -> tuple[int, ...]:
        """Places in the file of the structures that are chosen [S]."""
        return tuple(int(number) for number in self.numbers[chosen])


def examine_file(own: OwnData, limit: int | None = None) -> Examined:
    """Read a file, its first `limit` rows if given; DataError or UnknownNameError if that fails."""
    return examine_rows(own, itertools.islice(read_own(own), limit))


def examine_rows(own: OwnData, rows: Iterable[OwnRow]) -> Examined:
    """Sort rows into usable ones and those with a reason why not."""
    unreadable: dict[int, str] = {}
    impossible: dict[int, str] = {}
    not_finite: dict[str, list[int]] = {name: [] for name in LABELS}
    keys: set[str] = set()
    usable, samples, n_rows = [], [], 0
    for row in rows:
        n_rows += 1
        keys.update(row.keys)
        if row.sample is None:
            unreadable[row.number] = row.problem
            continue
        try:
            check_sample(replace(row.sample, targets={}))
        except DataError as error:
            impossible[row.number] = str(error).removeprefix(f"{row.sample.source}: ")
            continue
        targets = {}
        for name, value in row.sample.targets.items():
            if np.isfinite(value).all():
                targets[name] = value
            else:
                not_finite[name].append(row.number)
        usable.append(row)
        samples.append(replace(row.sample, targets=targets))
    return Examined(
        own=own,
        n_rows=n_rows,
        unreadable=unreadable,
        impossible=impossible,
        not_finite=not_finite,
        keys=tuple(sorted(keys)),
        rows=tuple(usable),
        samples=tuple(samples),
    )
