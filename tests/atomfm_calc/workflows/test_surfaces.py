"""Surface and adsorption energies as differences of energies."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from atomfm_calc.errors import ConfigError, StructureError
from atomfm_calc.workflows.relax import RelaxSettings, relax
from atomfm_calc.workflows.surfaces import SurfaceSettings, adsorption_energy, surface_energy

LATTICE = 3.59


def test_a_surface_costs_the_slab_minus_the_crystal() -> None:
    slab = fcc111("Cu", (1, 1, 5), a=LATTICE, vacuum=6.0)
    result = surface_energy(slab, bulk("Cu", cubic=True, a=LATTICE), EMT())
    relaxed = relax(slab, EMT(), RelaxSettings(max_force=0.02)).energy
    crystal = bulk("Cu", a=LATTICE)
    crystal.calc = EMT()
    area = LATTICE**2 * np.sqrt(3.0) / 4.0  # of one atom in (111)
    expected = (relaxed - 5.0 * crystal.get_potential_energy()) / (2.0 * area)
    assert result.surface_energy_eV_per_angstrom2 == pytest.approx(expected, rel=1e-6)
    assert result.surface_energy_J_per_m2 == pytest.approx(16.0218 * expected, rel=1e-4)
    assert (result.area, result.n_bulk_cells) == (pytest.approx(area), 1.25)


def test_thicker_slabs_have_the_same_surfaces() -> None:
    energies = [
        surface_energy(fcc111("Cu", (1, 1, n), a=LATTICE, vacuum=6.0), bulk("Cu", a=LATTICE), EMT())
        for n in (6, 9)
    ]
    first, second = (one.surface_energy_J_per_m2 for one in energies)
    assert first == pytest.approx(second, rel=0.01)


def test_adsorption_is_together_minus_apart() -> None:
    slab = fcc111("Cu", (1, 1, 3), a=LATTICE, vacuum=6.0)
    slab.set_constraint(FixAtoms([0, 1]))
    together = slab.copy()
    add_adsorbate(together, "O", 1.2, "fcc")
    before = together.copy()
    result = adsorption_energy(together, slab, Atoms("O"), EMT())
    assert together == before
    assert result.adsorption_energy == pytest.approx(
        result.energy_together - result.energy_slab - result.energy_molecule
    )
    assert result.energy_slab == pytest.approx(relax(slab, EMT()).energy, abs=1e-6)
    assert result.adsorption_energy < -1.0


def test_what_does_not_add_up_is_refused() -> None:
    slab = fcc111("Cu", (1, 1, 3), a=LATTICE, vacuum=6.0)
    with pytest.raises(StructureError, match="do not add up to"):
        adsorption_energy(slab, slab, Atoms("O"), EMT())
    oxide = slab.copy()
    add_adsorbate(oxide, "O", 1.2, "fcc")
    with pytest.raises(StructureError, match="no multiple of the bulk"):
        surface_energy(oxide, bulk("Cu"), EMT())
    with pytest.raises(ConfigError, match="max_force is 0"):
        SurfaceSettings(max_force=0.0)
