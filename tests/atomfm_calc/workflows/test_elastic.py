"""Elastic constants, against published ones and against second differences of the energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import StillingerWeber
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import (
    Stillinger_Weber_PRB_31_5262_Si,
)

from atomfm_calc.errors import ConfigError, PropertyError
from atomfm_calc.units import GPA
from atomfm_calc.workflows.elastic import ElasticSettings, elastic_constants, elastic_moduli


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    constants = np.diag([c11 - c12] * 3 + [c44] * 3)
    constants[:3, :3] += c12
    return constants


@pytest.mark.parametrize(("clamped", "c44"), [(False, 60.3), (True, 117.2)])
def test_silicon_of_stillinger_and_weber_has_the_published_constants(
    clamped: bool, c44: float
) -> None:
    # Balamane, Halicioglu and Tiller, Phys. Rev. B 46, 2250 (1992): 161.6, 81.6, 60.3 GPa and 117.2
    # with clamped ions, for energies scaled to 2.315 eV in place of the 2.1683 eV of 1985
    expected = cubic(161.6, 81.6, c44) * 2.1683 / 2.315
    calculator = Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))
    settings = ElasticSettings(relax_positions=not clamped)
    result = elastic_constants(bulk("Si", a=5.42), calculator, settings)
    assert result.elastic_constants_GPa == pytest.approx(expected, rel=1e-2, abs=0.1)
    assert result.stable
    assert abs(result.residual_stress_GPa) < 0.02


def test_constants_are_second_differences_of_the_energy(tmp_path: Path) -> None:
    result = elastic_constants(bulk("Cu"), EMT(), keep=tmp_path / "kept.traj")
    c = result.elastic_constants_GPa
    # energy per volume of volume-conserving strains: (c11 - c12) e² and 2 c44 e², and of xx alone
    strains = {"tetragonal": np.diag([1.0, -1.0, 0.0]), "xx": np.diag([1.0, 0.0, 0.0])}
    strains["shear"] = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    found = {name: curvature(result.atoms, strain) for name, strain in strains.items()}
    assert c[0, 0] - c[0, 1] == pytest.approx(found["tetragonal"] / 2.0, rel=1e-2)
    assert c[3, 3] == pytest.approx(found["shear"] / 4.0, rel=1e-2)
    assert c[0, 0] == pytest.approx(found["xx"], rel=1e-2)


def curvature(atoms: Atoms, direction: np.ndarray) -> float:
    """Second derivative of energy per volume with respect to a strain along `direction`, GPa."""
    energies = []
    for step in (-2e-3, 0.0, 2e-3):
        strained = atoms.copy()
        strained.set_cell(atoms.cell @ (np.eye(3) + step * direction), scale_atoms=True)
        strained.calc = EMT()
        energies.append(strained.get_potential_energy())
    return float(np.diff(energies, 2)[0] / 2e-3**2 / atoms.get_volume() / GPA)


def test_a_turned_crystal_has_the_same_averages_and_eigenvalues() -> None:
    straight = elastic_constants(bulk("Cu"), EMT())
    turned = bulk("Cu")
    turned.rotate(33.0, (1, 2, 3), rotate_cell=True)
    result = elastic_constants(turned, EMT())
    assert straight.moduli is not None
    assert result.moduli is not None
    assert result.moduli.shear_reuss_GPa == pytest.approx(straight.moduli.shear_reuss_GPa, rel=2e-3)
    assert result.smallest_eigenvalue_GPa == pytest.approx(
        straight.smallest_eigenvalue_GPa, rel=2e-3
    )


def test_averages_of_an_isotropic_solid_are_its_moduli() -> None:
    bulk_modulus, shear = 100.0, 40.0
    moduli = elastic_moduli(
        cubic(bulk_modulus + 4.0 * shear / 3.0, bulk_modulus - 2.0 * shear / 3.0, shear)
    )
    assert moduli.bulk_voigt_GPa == pytest.approx(moduli.bulk_reuss_GPa) == 100.0
    assert moduli.shear_voigt_GPa == pytest.approx(moduli.shear_reuss_GPa) == 40.0
    assert moduli.universal_anisotropy == pytest.approx(0.0, abs=1e-9)
    assert moduli.young_GPa == pytest.approx(9.0 * 100 * 40 / (300 + 40))
    assert moduli.poisson_ratio == pytest.approx((300 - 80) / (600 + 80))


def test_an_unstable_crystal_is_called_so_and_has_no_moduli() -> None:
    # EMT's copper in a body-centered cell lies on a saddle: tetragonal shear lowers its energy
    result = elastic_constants(bulk("Cu", "bcc", a=2.86), EMT())
    assert not result.stable
    assert result.moduli is None
    assert result.smallest_eigenvalue_GPa < 0.0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PropertyError, match="need a crystal"):
        elastic_constants(molecule("N2"), EMT())
    with pytest.raises(ConfigError, match="max_strain 0.2"):
        ElasticSettings(max_strain=0.2)
