"""How closely two ways to the same number must agree, one row per precision of a calculator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """Absolute tolerances, and the steps of differences that can be told from rounding."""

    energy: float
    """eV/atom; the same physics in another order of operations."""
    forces: float
    """eV/Å, likewise."""
    stress: float
    """eV/Å³, likewise."""
    step: float
    """Å, of differences that are to give forces."""
    strain: float
    """Without unit, of differences that are to give stress."""
    difference_forces: float
    """eV/Å; forces against differences of fourth order: their rounding is energy over `step`."""
    difference_stress: float
    """eV/Å³; stress against differences, likewise."""
    energy_jump: float
    """eV; what is called continuous along a scan."""
    forces_jump: float
    """eV/Å, likewise."""


PRECISIONS: dict[str, Tolerances] = {
    "float64": Tolerances(
        energy=1e-9,
        forces=1e-8,
        stress=1e-9,
        step=5e-4,
        strain=2e-4,
        difference_forces=1e-5,
        difference_stress=1e-6,
        energy_jump=1e-6,
        forces_jump=1e-5,
    ),
    "float32": Tolerances(
        energy=2e-5,
        forces=1e-3,
        stress=1e-4,
        step=1e-2,
        strain=3e-3,
        difference_forces=1e-2,
        difference_stress=1e-3,
        energy_jump=2e-4,
        forces_jump=2e-3,
    ),
    "self-consistent": Tolerances(
        energy=1e-5,
        forces=1e-3,
        stress=1e-4,
        step=1e-2,
        strain=3e-3,
        difference_forces=5e-3,
        difference_stress=5e-4,
        energy_jump=1e-4,
        forces_jump=2e-3,
    ),
}
"""By name. float64: sums of a few thousand terms of up to 10³ eV. float32: coordinates up to 30 Å
are rounded by 1e-6 Å, which a stiff bond (50 eV/Å²) turns into 5e-5 eV/Å in each of some twenty
terms; energies of 10 eV/atom by 1e-6 eV. "self-consistent", which has to be stated: what is left
of an iteration that stops at 1e-6 eV."""

CONSERVED_MEV_PER_ATOM = 1.0
"""By which the mean total energy may move within 200 steps; a few percent of the kinetic energy at
300 K, more than the error of the integrator."""
STIFFNESS_NEAR = 0.05
"""Relative difference of stiffness between displacements of 0.001 and 0.01 Å: anharmonicity is
d² times 5 to 10 per Å², so 1e-3, and rounding of forces by 1e-4 eV/Å is 0.1 eV/Å² of about 10."""
STIFFNESS_FAR = 0.3
"""Between 0.01 and 0.1 Å, where anharmonicity is some percent, up to twenty in stiff bonds."""
