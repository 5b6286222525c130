"""Phonons, against closed forms and against phonopy used by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from atomfm_calc.errors import ConfigError, PropertyError, WorkflowError

pytest.importorskip("phonopy")

from atomfm_calc.workflows.phonons import PhononSettings, phonons, supercell_for
from atomfm_calc.workflows.quasi_harmonic import QuasiHarmonicSettings, quasi_harmonic

ARGON = {"sigma": 3.40, "epsilon": 0.0104, "rc": 4.5, "smooth": False}
"""Cut between the first and the second neighbors: springs of known strength between neighbors."""


@pytest.fixture
def argon() -> Atoms:
    """Neighbors at the bottom of the potential, 2^(1/6) sigma apart."""
    return bulk("Ar", a=np.sqrt(2.0) * 2 ** (1 / 6) * 3.40)


def spring_frequency_THz(eigenvalue: float) -> float:
    """Of `eigenvalue` times k / m, with k = 57.146 epsilon / sigma² at the bottom."""
    stiffness = 57.1464 * 0.0104 / 3.40**2 * eigenvalue  # eV/Å²
    angular = np.sqrt(stiffness * units._e * 1e20 / (39.948 * units._amu))  # rad/s
    return float(angular / (2.0 * np.pi) * 1e-12)


def at(result: object, name: str) -> np.ndarray:
    """Frequencies at a special point."""
    bands = result.bands  # type: ignore[attr-defined]
    place = bands.special_distances_per_angstrom[bands.special_points.index(name)]
    return bands.frequencies_THz[np.argmin(abs(bands.distances_per_angstrom - place))]


def test_neighbors_on_springs_vibrate_as_the_textbook_says(argon: Atoms) -> None:
    settings = PhononSettings(min_length=11.0, relax_cell=False)
    result = phonons(argon, LennardJones(**ARGON), settings)
    # fcc with springs k to the 12 neighbors (Ashcroft and Mermin, problem 22.5): at X
    # m w² = 8 k (longitudinal), 4 k (transverse, twice); at L 8 k and 2 k
    at_x = [spring_frequency_THz(value) for value in (4, 4, 8)]
    at_l = [spring_frequency_THz(value) for value in (2, 2, 8)]
    assert at(result, "X") == pytest.approx(at_x, rel=1e-2)
    assert at(result, "L") == pytest.approx(at_l, rel=1e-2)
    assert result.n_displacements == 1
    assert result.imaginary_modes == ()
    assert not result.non_analytic_correction


def test_frequencies_are_those_of_phonopy_used_by_itself(tmp_path: Path) -> None:
    from atomfm_calc.workflows import phonons as module

    copper = bulk("Cu", a=3.59)
    result = phonons(
        copper, EMT(), PhononSettings(min_length=7.0, relax_cell=False), keep=tmp_path / "k.traj"
    )
    cell = module.PhonopyAtoms(symbols=["Cu"], cell=copper.cell[:], scaled_positions=[[0, 0, 0]])
    own = module.Phonopy(cell, np.diag(result.supercell), primitive_matrix="P")
    own.generate_displacements(distance=0.01)
    displaced = own.supercells_with_displacements
    own.forces = [
        EMT().get_forces(Atoms(one.symbols, one.positions, cell=one.cell, pbc=True))
        for one in displaced
    ]
    own.produce_force_constants()
    own.run_qpoints(result.bands.q_points)
    assert result.bands.frequencies_THz == pytest.approx(
        own.qpoints.frequencies, rel=1e-3, abs=1e-3
    )


def test_heat_and_states_are_those_of_three_oscillators_per_atom(argon: Atoms) -> None:
    settings = PhononSettings(min_length=11.0, relax_cell=False, temperatures_K=(0, 50, 2000))
    result = phonons(argon, LennardJones(**ARGON), settings)
    thermal, axis = result.thermal, result.dos_frequencies_THz
    assert thermal is not None
    assert np.trapezoid(result.dos_per_THz_per_atom, axis) == pytest.approx(3.0, rel=0.01)
    quanta = units._hplanck * 1e12 / units._e * axis  # eV
    zero_point = np.trapezoid(result.dos_per_THz_per_atom * quanta / 2.0, axis)
    assert thermal.free_energy_eV_per_atom[0] == pytest.approx(zero_point, rel=0.01)
    assert thermal.heat_capacity_kB_per_atom[0] == 0.0
    assert thermal.heat_capacity_kB_per_atom[2] == pytest.approx(3.0, abs=1e-2)


def test_a_conventional_cell_and_a_resumed_run_give_the_same(tmp_path: Path) -> None:
    settings = PhononSettings(supercell=(2, 2, 2), relax_cell=False)
    file = tmp_path / "kept.traj"
    first = phonons(bulk("Cu", cubic=True, a=3.59), EMT(), settings, keep=file)
    size = file.stat().st_size
    again = phonons(bulk("Cu", cubic=True, a=3.59), EMT(), settings, keep=file)
    assert file.stat().st_size == size
    assert len(first.primitive) == 1
    assert np.allclose(first.bands.frequencies_THz, again.bands.frequencies_THz, atol=1e-6)


def test_imaginary_modes_are_named_and_leave_no_free_energy() -> None:
    result = phonons(bulk("Cu", "bcc", a=2.86), EMT(), PhononSettings(min_length=7.0))
    assert result.imaginary_modes[0].frequency_THz < -0.1
    assert any(mode.where in result.bands.special_points for mode in result.imaginary_modes)
    assert result.thermal is None


def test_heat_expands_a_crystal_by_gruneisens_law(tmp_path: Path) -> None:
    own = PhononSettings(supercell=(2, 2, 2), mesh_length=20.0, temperatures_K=(0, 150, 300, 450))
    result = quasi_harmonic(bulk("Cu"), EMT(), QuasiHarmonicSettings(phonons=own, n_points=5))
    # alpha = gamma c_V / (B V), with gamma = -d ln w / d ln V from the same springs
    frequencies = [
        phonons(one, EMT(), PhononSettings(supercell=(2, 2, 2), mesh_length=20.0, relax_cell=False))
        for one in (bulk("Cu", a=3.62), bulk("Cu", a=3.66))
    ]
    low, high = (one.thermal.entropy_kB_per_atom[-1] for one in frequencies)  # classical
    gruneisen = (high - low) / 3.0 / (3.0 * np.log(3.66 / 3.62))
    place = 2  # 300 K
    capacity = 2.85 * units.kB / result.volume_per_atom[place] / units.GPa
    expected = gruneisen * capacity / result.bulk_modulus_GPa[place]
    assert result.thermal_expansion_per_K[place] == pytest.approx(expected, rel=0.1)
    assert result.volume_per_atom[0] > result.atoms.get_volume()  # zero-point motion
    assert result.stopped_at_K is None


def test_a_supercell_is_as_small_as_its_width_allows() -> None:
    assert supercell_for(bulk("Cu", a=3.6).cell, 12.0) == (6, 6, 6)  # faces 3.6 / sqrt(3) apart
    assert supercell_for(bulk("Cu", a=3.6, cubic=True).cell, 10.8) == (3, 3, 3)
    assert supercell_for(bulk("Ti", a=2.95, c=4.68).cell, 10.0) == (4, 4, 3)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(PropertyError, match="A molecule has vibrations"):
        phonons(molecule("N2"), EMT())
    with pytest.raises(ConfigError, match="supercell is"):
        PhononSettings(supercell=(2, 0, 2))
    with pytest.raises(ConfigError, match="evenly spaced"):
        QuasiHarmonicSettings(phonons=PhononSettings(temperatures_K=(0, 100, 300)))
    own = PhononSettings(supercell=(2, 2, 2), mesh_length=20.0)
    with pytest.raises(WorkflowError, match="imaginary mode"):
        quasi_harmonic(bulk("Cu", "bcc", a=2.86), EMT(), QuasiHarmonicSettings(phonons=own))
