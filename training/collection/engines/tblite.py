"""The tblite door: GFN1-xTB and GFN2-xTB (Grimme group), 86 elements, H to Rn.

tblite samples the Γ point only, so a periodic cell must be at least 8 Å high in every direction.
GFN is not spin polarized here: the multiplicity sets the occupation numbers alone.

Sources: Grimme, Bannwarth, Shushkov, J. Chem. Theory Comput. 13, 1989 (2017);
Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from ase.units import Bohr, GPa, Hartree, kB
from numpy.typing import NDArray
from tblite.exceptions import TBLiteRuntimeError, TBLiteValueError
from tblite.interface import Calculator

from atomfm_calc.errors import LabelError
from atomfm_calc.sample import Sample
from training.collection.engines import check_targets

LAST_ELEMENT = 86
MIN_HEIGHT = 8.0
"""Smallest perpendicular height of a periodic cell in Å."""


@dataclass(frozen=True, kw_only=True)
class TbliteEngine:
    """Energy, forces and stress by extended tight binding."""

    method: Literal["GFN1-xTB", "GFN2-xTB"]
    """Parametrization."""
    electronic_temperature_K: float = 300.0
    """Fermi smearing; the energy is the free energy that the forces belong to."""
    accuracy: float = 1.0
    """tblite's factor on all numerical thresholds; smaller is tighter."""
    max_iterations: int = 250
    """Self-consistency cycles before giving up."""
    max_tension_GPa: float | None = None
    """Crystals that would pull together harder than this are refused: GFN1-xTB lets some heavy
    cations (Sr, Ba, Ce) fall into their neighbors, with no minimum at any density."""

    def label(self, sample: Sample) -> dict[str, NDArray[np.float64]]:
        """Targets of a structure; see `Engine.label`."""
        is_bulk = bool(sample.pbc.all())
        _check(sample)
        try:
            calculator = Calculator(
                self.method,
                sample.atomic_numbers,
                sample.positions / Bohr,
                charge=float(sample.charge),
                uhf=_n_unpaired(sample),
                lattice=sample.cell / Bohr if is_bulk else None,
                periodic=sample.pbc if is_bulk else None,
            )
            calculator.set("verbosity", 0)
            calculator.set("accuracy", self.accuracy)
            calculator.set("max-iter", self.max_iterations)
            calculator.set("temperature", self.electronic_temperature_K * kB / Hartree)
            result = calculator.singlepoint()
        except (TBLiteRuntimeError, TBLiteValueError) as error:
            text = " ".join(str(error).split())
            reason = "not-converged" if "converge" in text.lower() else "tblite-error"
            raise LabelError(f"{reason}: {text}") from error
        targets = {
            "energy": np.asarray(result.get("energy") * Hartree, dtype=np.float64),
            "forces": -np.asarray(result.get("gradient")) * (Hartree / Bohr),
        }
        if is_bulk:
            # tblite's virial is dE/dstrain, in atomic units
            volume = abs(np.linalg.det(sample.cell))
            virial = np.asarray(result.get("virial")) * Hartree
            targets["stress"] = 0.5 * (virial + virial.T) / volume
            _check_tension(targets["stress"], self.max_tension_GPa)
        check_targets(targets)
        return targets

    def versions(self) -> dict[str, str]:
        """Version of tblite."""
        return {"tblite": version("tblite")}


def _check_tension(stress: NDArray[np.float64], limit_GPa: float | None) -> None:
    tension_GPa = float(np.trace(stress)) / 3.0 / GPa
    if limit_GPa is not None and tension_GPa > limit_GPa:
        raise LabelError(
            f"collapsing: pulls together with {tension_GPa:.0f} GPa, of which {limit_GPa:g} are "
            "allowed"
        )


def _n_unpaired(sample: Sample) -> int:
    """Unpaired electrons as tblite counts them: the 4f electrons of Ce to Lu are in its core."""
    if sample.pbc.any():
        return 0
    n_4f = sample.atomic_numbers - 57
    n_hidden = int(n_4f[(n_4f > 0) & (n_4f <= 14)].sum())
    n_unpaired = sample.multiplicity - 1
    if n_hidden % 2 == 0:
        return n_unpaired
    return n_unpaired - 1 if n_unpaired else 1


def _check(sample: Sample) -> None:
    if sample.atomic_numbers.max() > LAST_ELEMENT:
        raise LabelError("unsupported-element: GFN covers H (1) to Rn (86)")
    if not sample.pbc.any():
        return
    if not sample.pbc.all():
        raise LabelError("unsupported-periodicity: give all three directions or none")
    heights = 1.0 / np.linalg.norm(np.linalg.inv(sample.cell), axis=0)  # [3] Å
    if heights.min() < MIN_HEIGHT - 1e-6:
        raise LabelError(
            f"small-cell: height {heights.min():.2f} Å; Γ-only sampling needs {MIN_HEIGHT} Å"
        )
