"""Elastic constants: stress against strain, fitted by matscipy, and what follows from them.

All 21 constants are fitted from six strains, whatever the symmetry: so no axis has to stand
anywhere, and what symmetry says of the constants tests the calculation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from matscipy.elasticity import fit_elastic_constants, generate_strained_configs
from numpy.typing import NDArray

from atomfm_calc.errors import ConfigError, PropertyError
from atomfm_calc.units import GPA
from atomfm_calc.workflows.compute import compute_many, with_computed
from atomfm_calc.workflows.relax import relax_many, relaxed_crystal


@dataclass(frozen=True, kw_only=True)
class ElasticSettings:
    """Which strains."""

    max_strain: float = 0.005
    """Largest strain; shear is the engineering one, twice the element of the tensor."""
    n_strains: int = 4
    """Of each of the six kinds, evenly spaced, positive and negative."""
    relax_cell: bool = True
    """Relax positions and cell first. If not, and if the structure is under stress, the constants
    are the stress-strain coefficients at this stress."""
    relax_positions: bool = True
    """Relax the atoms at each strain; if not, the constants are those of clamped ions."""
    max_force: float = 1e-3
    """eV/Å, limit of all relaxations."""
    max_stress: float = 1e-4
    """eV/Å³ (0.016 GPa), limit of the first relaxation."""

    def __post_init__(self) -> None:
        if not 0.0 < self.max_strain < 0.1 or self.n_strains < 2:
            raise ConfigError(
                f"max_strain {self.max_strain} must be between 0 and 0.1, n_strains "
                f"{self.n_strains} at least 2"
            )
        if self.max_force <= 0.0 or self.max_stress <= 0.0:
            raise ConfigError(
                f"max_force {self.max_force} and max_stress {self.max_stress} must be above 0"
            )


@dataclass(frozen=True, kw_only=True)
class ElasticModuli:
    """Of a polycrystal, from the constants of its crystals.

    Source: Hill, Proc. Phys. Soc. A 65, 349 (1952); the anisotropy is that of Ranganathan and
    Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008).
    """

    bulk_voigt_GPa: float
    """Upper bound, equal strain."""
    bulk_reuss_GPa: float
    """Lower bound, equal stress."""
    bulk_GPa: float
    """Hill's mean of both."""
    shear_voigt_GPa: float
    """Upper bound."""
    shear_reuss_GPa: float
    """Lower bound."""
    shear_GPa: float
    """Hill's mean of both."""
    young_GPa: float
    """Of Hill's means."""
    poisson_ratio: float
    """Of Hill's means."""
    universal_anisotropy: float
    """0 for an isotropic crystal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ElasticResult:
    """Elastic constants and what follows from them."""

    atoms: Atoms
    """The structure without strain."""
    elastic_constants_GPa: NDArray[np.float64]
    """[6, 6], Voigt order xx, yy, zz, yz, xz, xy"""
    standard_errors_GPa: NDArray[np.float64]
    """[6, 6], of the linear fits; they grow with curvature as well as with noise"""
    residual_stress_GPa: float
    """Largest component of the stress without strain, tension positive."""
    smallest_eigenvalue_GPa: float
    """Of the constants in Kelvin's notation; below 0 in an unstable crystal."""
    stable: bool
    """Born's criterion without load: all eigenvalues are positive (Mouhat and Coudert, Phys. Rev. B
    90, 224104, 2014)."""
    moduli: ElasticModuli | None
    """None for an unstable crystal, which has none."""


def elastic_constants(
    atoms: Atoms,
    calculator: BaseCalculator,
    settings: ElasticSettings | None = None,
    *,
    keep: str | Path | None = None,
) -> ElasticResult:
    """Strain a crystal in six ways and fit the elastic constants to its stress.

    Args:
        atoms: is not changed; constraints are left out.
        calculator: any ASE calculator with stress; its precision matters (float64).
        settings: None: the defaults.
        keep: file (.traj) by which an interrupted run goes on; see `compute_many`.

    Raises:
        PropertyError: the structure is not periodic in three directions.
        WorkflowError: a relaxation does not converge.
    """
    settings = settings or ElasticSettings()
    if not atoms.pbc.all():
        raise PropertyError(
            f"elastic constants need a crystal, periodic in three directions; pbc is "
            f"{atoms.pbc.tolist()}. Give a structure with its cell and pbc"
        )
    start = atoms.copy()
    start.set_constraint()
    if settings.relax_cell:
        start = relaxed_crystal(
            start, calculator, max_force=settings.max_force, max_stress=settings.max_stress
        )
        start = start.copy()  # without results: they are not those of the strained
    delta = 2.0 * settings.max_strain / (settings.n_strains - 1)
    every = [start, *generate_strained_configs(start, N_steps=settings.n_strains, delta=delta)]
    want = ("energy", "forces", "stress")
    if settings.relax_positions:
        computed = relax_many(calculator, every, settings.max_force, want=want, keep=keep)
    else:
        results = compute_many(calculator, every, want, keep=keep)
        computed = [with_computed(*pair) for pair in zip(every, results, strict=True)]
    constants, errors = fit_elastic_constants(
        computed[1:], N_steps=settings.n_strains, delta=delta, verbose=False
    )
    constants_GPa = constants / GPA
    smallest = float(np.linalg.eigvalsh(KELVIN * constants_GPa)[0])
    return ElasticResult(
        atoms=start,
        elastic_constants_GPa=constants_GPa,
        standard_errors_GPa=errors / GPA,
        residual_stress_GPa=float(np.abs(computed[0].get_stress()).max() / GPA),
        smallest_eigenvalue_GPa=smallest,
        stable=smallest > 0.0,
        moduli=elastic_moduli(constants_GPa) if smallest > 0.0 else None,
    )


KELVIN = np.sqrt(np.outer([1, 1, 1, 2, 2, 2], [1, 1, 1, 2, 2, 2]))
"""Factors [6, 6] from Voigt's to Kelvin's notation, in which eigenvalues do not depend on axes."""


def elastic_moduli(constants_GPa: NDArray[np.float64]) -> ElasticModuli:
    """Voigt, Reuss and Hill averages of elastic constants [6, 6] in GPa of a stable crystal."""
    c, s = constants_GPa, np.linalg.inv(constants_GPa)
    bulk_voigt = float(c[:3, :3].sum()) / 9.0
    bulk_reuss = 1.0 / float(s[:3, :3].sum())
    diagonal, shear = float(np.trace(c[:3, :3])), float(np.trace(c[3:, 3:]))
    shear_voigt = (3.0 * diagonal - float(c[:3, :3].sum())) / 30.0 + shear / 5.0
    compliance = 6.0 * float(np.trace(s[:3, :3])) - 2.0 * float(s[:3, :3].sum())
    shear_reuss = 15.0 / (compliance + 3.0 * float(np.trace(s[3:, 3:])))
    bulk, rigidity = (bulk_voigt + bulk_reuss) / 2.0, (shear_voigt + shear_reuss) / 2.0
    return ElasticModuli(
        bulk_voigt_GPa=bulk_voigt,
        bulk_reuss_GPa=bulk_reuss,
        bulk_GPa=bulk,
        shear_voigt_GPa=shear_voigt,
        shear_reuss_GPa=shear_reuss,
        shear_GPa=rigidity,
        young_GPa=9.0 * bulk * rigidity / (3.0 * bulk + rigidity),
        poisson_ratio=(3.0 * bulk - 2.0 * rigidity) / (6.0 * bulk + 2.0 * rigidity),
        universal_anisotropy=5.0 * shear_voigt / shear_reuss + bulk_voigt / bulk_reuss - 6.0,
    )
