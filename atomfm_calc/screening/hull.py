"""Energy above the hull of competing phases that the user names.

The hull at a composition x is the cheapest mixture of phases that has it: minimize sum w e subject
to sum w c = x, w >= 0, with e the energy per atom and c the composition of each phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from atomfm_calc.calculators.batch import iterate_results
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.errors import DataError
from atomfm_calc.sample import MAX_ATOMIC_NUMBER
from atomfm_calc.screening.campaign import Hull
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.structures import StructureBlock

Array = NDArray[np.float64]
TOLERANCE = 1e-9
"""Shares of an element below it count as none."""


class EnergyHull:
    """The lower envelope of phases."""

    def __init__(self, compositions: Array, energies: Array) -> None:
        """Keep the cheapest phase of each composition.

        Args:
            compositions: [P, elements], shares of the atoms.
            energies: [P] eV/atom.
        """
        order = np.argsort(energies, kind="stable")  # so that the first of a kind is the cheapest
        _, first = np.unique(compositions[order].round(9), axis=0, return_index=True)
        cheapest = order[first]
        self.compositions, self.energies = compositions[cheapest], energies[cheapest]
        self._known: dict[bytes, float] = {}

    def energy(self, composition: Array) -> float:
        """Of the cheapest mixture of phases, eV/atom; NaN if no mixture has this composition.

        Args:
            composition: [elements], shares of the atoms.
        """
        key = composition.round(9).tobytes()
        if key not in self._known:
            self._known[key] = self._solve(composition)
        return self._known[key]

    def _solve(self, composition: Array) -> float:
        present = composition > TOLERANCE
        possible = (self.compositions[:, ~present] <= TOLERANCE).all(axis=1)
        if not possible.any():
            return float("nan")
        mixture = linprog(
            self.energies[possible],
            A_eq=self.compositions[possible][:, present].T,
            b_eq=composition[present],
            method="highs",
        )
        return float(mixture.fun) if mixture.success else float("nan")

    def above(self, block: StructureBlock, energies: Array) -> Array:
        """Energy above the hull [S] eV/atom, negative for what would be a new phase.

        Args:
            block: S structures.
            energies: [S] eV, with the zero of the phases' energies.
        """
        shares = shares_of(block)
        hull = np.array([self.energy(row) for row in shares])
        return energies / block.n_atoms - hull


def shares_of(block: StructureBlock) -> Array:
    """Shares of the elements among the atoms of each structure: [S, elements]."""
    counts = np.zeros((len(block), MAX_ATOMIC_NUMBER + 1))
    np.add.at(counts, (block.structure_of_atom, block.atomic_numbers), 1.0)
    return counts / block.n_atoms[:, None]


def read_hull(settings: Hull, evaluator: Evaluator, head: str) -> EnergyHull:
    """The hull of the phases in a file.

    Args:
        settings: which file, and where its energies come from.
        evaluator: computes them if the file does not give them; its head is not used.
        head: that does.

    Raises:
        DataError: a phase cannot be read or has no energy.
    """
    source = FileSource([settings.phases])
    block = source.read(0, source.n_candidates)
    if block.rejected:
        first = block.rejected[0]
        raise DataError(f"competing phase {first.name}: {first.reason}, {first.detail}")
    if settings.energies is None:
        own = Evaluator(evaluator.loaded, replace(evaluator.settings, head=head))
        structures = [block.atoms(row) for row in range(len(block))]
        energies = [result.energy for result in iterate_results(own, structures, want=("energy",))]
    else:
        energies = list(_stated(source, settings.energies))
    return EnergyHull(shares_of(block), np.array(energies) / block.n_atoms)


def _stated(source: FileSource, key: str) -> Sequence[float]:
    energies = []
    for name, atoms in source.structures():
        if key not in atoms.info:
            raise DataError(f"competing phase {name} has no {key!r} in its info")
        energies.append(float(atoms.info[key]))
    return energies
