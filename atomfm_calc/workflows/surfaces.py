"""Energies of surfaces and of what sits on them: differences between relaxed structures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import BaseCalculator

from atomfm_calc.errors import ConfigError, StructureError
from atomfm_calc.workflows.relax import relax_many

J_PER_M2 = units.J / units.m**2
"""eV/Å² per J/m²."""


@dataclass(frozen=True, kw_only=True)
class SurfaceSettings:
    """How to relax before energies are compared."""

    max_force: float = 0.02
    """eV/Å, limit of the relaxations; constraints are kept."""

    def __post_init__(self) -> None:
        if not self.max_force > 0.0:
            raise ConfigError(f"max_force is {self.max_force}; it must be above 0")


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceResult:
    """A surface energy."""

    atoms: Atoms
    """The relaxed slab."""
    surface_energy_eV_per_angstrom2: float
    """Mean of both sides of the slab."""
    surface_energy_J_per_m2: float
    """The same."""
    area: float
    """Å², of one side"""
    n_bulk_cells: float
    """Cells of the bulk that the slab is made of."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AdsorptionResult:
    """An adsorption energy."""

    atoms: Atoms
    """The relaxed slab with the molecule."""
    adsorption_energy: float
    """eV, together minus apart: negative where the molecule is bound"""
    energy_together: float
    """eV"""
    energy_slab: float
    """eV"""
    energy_molecule: float
    """eV"""


def surface_energy(
    slab: Atoms,
    bulk: Atoms,
    calculator: BaseCalculator,
    settings: SurfaceSettings | None = None,
) -> SurfaceResult:
    """Energy that it costs to make the two sides of a slab.

    The third lattice vector must cross the vacuum. Both sides count alike: of a slab with two
    different sides, or with one of them held, the mean of the two is given.

    Args:
        slab: is not changed; positions are relaxed, constraints kept.
        bulk: the crystal with its relaxed cell, of which the slab was cut; any cell of it.
        calculator: any ASE calculator.
        settings: None: the defaults.

    Raises:
        StructureError: the slab is not made of whole units of the bulk: its energy then depends on
            chemical potentials.
        WorkflowError: a relaxation does not converge.
    """
    settings = settings or SurfaceSettings()
    ratios = {
        symbol: Counter(slab.symbols)[symbol] / number
        for symbol, number in Counter(bulk.symbols).items()
    }
    if set(slab.symbols) != set(bulk.symbols) or len(set(ratios.values())) != 1:
        raise StructureError(
            f"the slab {slab.get_chemical_formula()} is no multiple of the bulk "
            f"{bulk.get_chemical_formula()}; its surface energy depends on chemical potentials. "
            "Take a stoichiometric slab"
        )
    relaxed, crystal = relax_many(calculator, [slab, bulk], settings.max_force)
    ratio = next(iter(ratios.values()))
    area = float(np.linalg.norm(np.cross(slab.cell[0], slab.cell[1])))
    excess = relaxed.get_potential_energy() - ratio * crystal.get_potential_energy()
    energy = float(excess) / (2.0 * area)
    return SurfaceResult(
        atoms=relaxed,
        surface_energy_eV_per_angstrom2=energy,
        surface_energy_J_per_m2=energy / J_PER_M2,
        area=area,
        n_bulk_cells=ratio,
    )


def adsorption_energy(
    together: Atoms,
    slab: Atoms,
    molecule: Atoms,
    calculator: BaseCalculator,
    settings: SurfaceSettings | None = None,
) -> AdsorptionResult:
    """Energy of a molecule on a slab, minus those of slab and molecule apart.

    Args:
        together: the molecule on the slab; like the others not changed, but relaxed.
        slab: alone, in the same cell and with the same constraints.
        molecule: alone; charge and multiplicity as in its `info`.
        calculator: any ASE calculator.
        settings: None: the defaults.

    Raises:
        StructureError: the atoms do not add up.
        WorkflowError: a relaxation does not converge.
    """
    settings = settings or SurfaceSettings()
    if Counter(together.symbols) != Counter(slab.symbols) + Counter(molecule.symbols):
        raise StructureError(
            f"{slab.get_chemical_formula()} and {molecule.get_chemical_formula()} do not add up to "
            f"{together.get_chemical_formula()}"
        )
    relaxed = relax_many(calculator, [together, slab, molecule], settings.max_force)
    both, alone, free = (float(one.get_potential_energy()) for one in relaxed)
    return AdsorptionResult(
        atoms=relaxed[0],
        adsorption_energy=both - alone - free,
        energy_together=both,
        energy_slab=alone,
        energy_molecule=free,
    )
