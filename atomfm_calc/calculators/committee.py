"""`CommitteeCalc`: several models of one level of theory, their mean and how far they are apart.

The expensive alternative to `FoundationCalc.uncertainty`: M models cost M calculations, but they
disagree about forces and stress too. Members must have learned the same theory from other data,
seeds or sizes. Heads of one model are no committee: they differ by their theories as well
(`FoundationCalc.evaluate_heads`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes
from numpy.typing import NDArray

from atomfm_calc.errors import PropertyError, SetupError, StructureError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Disagreement:
    """Standard deviations over M members, with M - 1 in the denominator; not calibrated."""

    energies: Array
    """[M] eV, of each member"""
    energy: float
    """eV"""
    forces: Array | None
    """[N, 3] eV/Å; None if forces were not computed"""
    stress: Array | None
    """[6] eV/Å³, Voigt; None if stress was not computed"""


class CommitteeCalc(Calculator):
    """ASE calculator: mean energy, forces and stress of its members.

    Their zeros of energy have to agree, which those of models of one theory and one convention do.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, members: Sequence[BaseCalculator]) -> None:
        """`members` are two or more ASE calculators, each an own object.

        Raises:
            SetupError: fewer than two, or one of them twice.
        """
        if len(members) < 2 or len({id(member) for member in members}) < len(members):
            raise SetupError(
                f"a committee of {len(members)} members; give two or more calculators, each once"
            )
        super().__init__()
        self.members = tuple(members)
        self._disagreement: Disagreement | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill `results` with means; errors as of the members."""
        self.results, self._disagreement = {}, None
        super().calculate(atoms, list(properties), list(system_changes))
        if self.atoms is None:
            raise StructureError("no structure to compute; give atoms")
        # what takes a member most comes first: the rest is then among its results
        wanted = [name for name in ("stress", "forces") if name in properties] + ["energy"]
        found = {
            name: np.stack([member.get_property(name, self.atoms) for member in self.members])
            for name in wanted
        }
        deviations = {name: values.std(axis=0, ddof=1) for name, values in found.items()}
        self._disagreement = Disagreement(
            energies=found["energy"],
            energy=float(deviations["energy"]),
            forces=deviations.get("forces"),
            stress=deviations.get("stress"),
        )
        means = {name: values.mean(axis=0) for name, values in found.items()}
        energy = float(means.pop("energy"))
        self.results = {"energy": energy, "free_energy": energy, **means}

    def disagreement(self) -> Disagreement:
        """How far the members are apart in the last calculation.

        Raises:
            PropertyError: nothing was computed yet.
        """
        if self._disagreement is None:
            raise PropertyError("nothing was computed yet; ask for energy or forces first")
        return self._disagreement
