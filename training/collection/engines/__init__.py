"""Label engines: programs that compute energy, forces and stress of a structure.

Each engine is one file, the only one that imports its program, loaded when the engine is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import LabelError
from atomfm_calc.sample import Sample

MAX_FORCE = 60.0
"""Largest force component in eV/Å that is kept; hotter structures are failures."""


class Engine(Protocol):
    """What every label engine can do."""

    def label(self, sample: Sample) -> dict[str, NDArray[np.float64]]:
        """Targets of a structure: energy () eV, forces [N, 3] eV/Å, stress [3, 3] eV/Å³ if 3-D.

        Raises:
            LabelError: no result; the text opens with a reason word that failures are counted by.
        """

    def versions(self) -> dict[str, str]:
        """Versions of the programs behind the labels."""


def _tblite(options: Mapping[str, Any]) -> Engine:
    from training.collection.engines.tblite import TbliteEngine

    return TbliteEngine(**options)


def _pyscf(options: Mapping[str, Any]) -> Engine:
    from training.collection.engines.pyscf import PySCFEngine

    return PySCFEngine(**options)


def _gpaw(options: Mapping[str, Any]) -> Engine:
    from training.collection.engines.gpaw import GPAWEngine

    return GPAWEngine(**options)


ENGINES: dict[str, Callable[[Mapping[str, Any]], Engine]] = {
    "tblite": _tblite,
    "pyscf": _pyscf,
    "gpaw": _gpaw,
}


def check_targets(targets: Mapping[str, NDArray[np.float64]]) -> None:
    """Refuse labels that no model should learn from.

    Raises:
        LabelError: a value is not finite, or a force component exceeds `MAX_FORCE`.
    """
    if not all(np.isfinite(value).all() for value in targets.values()):
        raise LabelError("not-finite: a label is NaN or infinite")
    largest = float(np.abs(targets["forces"]).max())
    if largest > MAX_FORCE:
        raise LabelError(f"too-hot: largest force component is {largest:.1f} eV/Å")
