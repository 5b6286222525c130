"""How closely two ways to the same number must agree, one row per data type."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """Absolute tolerances."""

    energy_eV: float
    forces: float
    """eV/Å"""
    stress: float
    """eV/Å³"""


TOLERANCES: dict[torch.dtype, Tolerances] = {
    torch.float64: Tolerances(energy_eV=1e-10, forces=1e-10, stress=1e-11),
    torch.float32: Tolerances(energy_eV=2e-5, forces=2e-5, stress=2e-6),
}
"""The same physics in another order of operations: rounding only."""

DIFFERENCES = Tolerances(energy_eV=1e-10, forces=1e-6, stress=1e-7)
"""Derivatives against central differences in float64; the error of the step counts."""

STEP = 2e-5
"""Step of central differences, Å (strain: no unit): h² f''' / 6 is 1e-7 eV/Å where f''' is 1500
eV/Å⁴ (a stiff bond has a tenth of it), rounding is 1e-14 / h = 1e-9 eV/Å."""
