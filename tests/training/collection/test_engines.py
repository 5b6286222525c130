"""Label engines: forces and stress belong to the energy, failures say why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase.units import GPa

from atomfm_calc.errors import LabelError, UnknownNameError, lookup
from atomfm_calc.sample import Sample
from training.collection.engines import ENGINES, Engine, check_targets

STEP = 2e-3
"""Å, or strain; the error of the central difference is of order STEP²."""
WATER = Sample(
    atomic_numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.0, 0.1], [0.0, 0.8, -0.5], [0.05, -0.75, -0.45]]),
)
NEON_CRYSTAL = Sample(
    atomic_numbers=np.array([10, 10, 2]),
    positions=np.array([[0.0, 0.0, 0.0], [2.1, 0.3, 0.1], [0.2, 2.2, 0.4]]),
    cell=np.array([[8.1, 0.0, 0.0], [0.3, 8.2, 0.0], [0.0, 0.2, 8.3]]),
    pbc=np.ones(3, dtype=bool),
)


def _engine(name: str, **options: Any) -> Engine:
    pytest.importorskip(name)
    return ENGINES[name](options)


def _slope(engine: Engine, ahead: Sample, behind: Sample) -> float:
    change = engine.label(ahead)["energy"] - engine.label(behind)["energy"]
    return float(change) / (2 * STEP)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tblite", {"method": "GFN1-xTB", "accuracy": 0.01}),
        ("tblite", {"method": "GFN2-xTB", "accuracy": 0.01}),
        ("pyscf", {"functional": "pbe0", "basis": "sto-3g"}),
    ],
)
def test_forces_are_minus_the_slope_of_the_energy(name: str, options: dict[str, Any]) -> None:
    engine = _engine(name, **options)
    shift = np.zeros((3, 3))
    shift[1, 2] = STEP
    ahead = replace(WATER, positions=WATER.positions + shift)
    behind = replace(WATER, positions=WATER.positions - shift)
    assert engine.label(WATER)["forces"][1, 2] == pytest.approx(
        -_slope(engine, ahead, behind), abs=2e-3
    )


def test_stress_is_the_slope_of_the_energy_with_strain() -> None:
    engine = _engine("tblite", method="GFN1-xTB", accuracy=0.01)
    strain = np.zeros((3, 3))
    strain[0, 1] = strain[1, 0] = STEP / 2
    strained = [
        replace(
            NEON_CRYSTAL,
            positions=NEON_CRYSTAL.positions @ (np.eye(3) + sign * strain),
            cell=NEON_CRYSTAL.cell @ (np.eye(3) + sign * strain),
        )
        for sign in (1, -1)
    ]
    volume = np.linalg.det(NEON_CRYSTAL.cell)
    stress = engine.label(NEON_CRYSTAL)["stress"]
    assert stress[0, 1] == pytest.approx(_slope(engine, *strained) / volume, abs=1e-6)
    assert np.trace(stress) < 0  # atoms this close push outward


def test_a_radical_and_an_ion_have_other_energies_than_the_molecule() -> None:
    engine = _engine("tblite", method="GFN2-xTB")
    neutral = engine.label(WATER)["energy"]
    cation = engine.label(replace(WATER, charge=1, multiplicity=2))["energy"]
    # the ionization energy of water is 12.6 eV; tight binding is off by a few eV
    assert 9.0 < cation - neutral < 20.0


def test_a_molecule_has_no_stress() -> None:
    assert set(_engine("tblite", method="GFN1-xTB").label(WATER)) == {"energy", "forces"}


def test_a_lanthanide_with_hidden_4f_electrons_gets_a_label() -> None:
    fluoride = Sample(
        atomic_numbers=np.array([58, 9, 9, 9]),
        positions=np.array([[0.0, 0, 0], [2.1, 0, 0], [-1.05, 1.82, 0], [-1.05, -1.82, 0]]),
        multiplicity=2,
    )
    assert np.isfinite(_engine("tblite", method="GFN1-xTB").label(fluoride)["energy"])


def test_a_small_periodic_cell_is_refused_at_the_gamma_point() -> None:
    small = replace(NEON_CRYSTAL, cell=0.9 * NEON_CRYSTAL.cell)
    with pytest.raises(LabelError, match=r"small-cell: height 7\.\d+ Å.*8\.0 Å"):
        _engine("tblite", method="GFN1-xTB").label(small)


def test_a_crystal_that_pulls_together_harder_than_allowed_is_refused() -> None:
    label = _engine("tblite", method="GFN1-xTB").label(NEON_CRYSTAL)
    tension_GPa = float(np.trace(label["stress"])) / 3.0 / GPa
    limited = _engine("tblite", method="GFN1-xTB", max_tension_GPa=tension_GPa + 0.1)
    np.testing.assert_array_equal(limited.label(NEON_CRYSTAL)["forces"], label["forces"])
    strict = _engine("tblite", method="GFN1-xTB", max_tension_GPa=tension_GPa - 0.1)
    with pytest.raises(LabelError, match="collapsing: pulls together with"):
        strict.label(NEON_CRYSTAL)


def test_an_element_without_parameters_is_refused() -> None:
    with pytest.raises(LabelError, match="unsupported-element"):
        _engine("tblite", method="GFN1-xTB").label(
            replace(WATER, atomic_numbers=np.array([92, 1, 1]))
        )


def test_pyscf_refuses_a_crystal() -> None:
    with pytest.raises(LabelError, match="unsupported-periodicity"):
        _engine("pyscf", functional="pbe").label(NEON_CRYSTAL)


def test_gpaw_says_which_python_is_missing() -> None:
    engine = ENGINES["gpaw"]({"python": "no-such-python"})
    with pytest.raises(LabelError, match="missing-program: no 'no-such-python'"):
        engine.label(NEON_CRYSTAL)


def test_labels_that_are_too_hot_or_not_finite_are_refused() -> None:
    with pytest.raises(LabelError, match=r"too-hot: .* 80\.0 eV/Å"):
        check_targets({"energy": np.array(0.0), "forces": np.array([[80.0, 0.0, 0.0]])})
    with pytest.raises(LabelError, match="not-finite"):
        check_targets({"energy": np.array(np.nan), "forces": np.zeros((1, 3))})


def test_an_unknown_engine_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="collection has: tblite, pyscf, gpaw"):
        lookup(ENGINES, "vasp", "label engine", "the collection")
