"""Any structure: a finite answer or an error of ours. Sound ones: the symmetries of physics."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.errors import AtomFMError
from tests.made.models import make_uncertain_folder
from tests.properties.strategies import SEEDS, any_structures, rotations, sound_structures

TOLERANCE = 1e-9
"""Of energies and forces in float64, relative to the largest of them or 1: sums of some thousand
terms in another order, of vectors that were turned."""
FEW = st.integers(1, 60)


@pytest.fixture(scope="module")
def calc(tmp_path_factory: pytest.TempPathFactory) -> FoundationCalc:
    folder = make_uncertain_folder(tmp_path_factory.mktemp("any") / "tiny")
    return FoundationCalc(
        folder, head="everything", device="cpu", kernel="reference", default_dtype="float64"
    )


def results(calc: FoundationCalc, atoms: Atoms) -> tuple[float, np.ndarray]:
    """Energy in eV and forces in eV/Å."""
    calc.calculate(atoms, ["energy", "forces"])
    return calc.results["energy"], calc.results["forces"]


def assert_same(found: tuple[float, np.ndarray], expected: tuple[float, np.ndarray]) -> None:
    """Energies and forces within the tolerance."""
    size = max(1.0, abs(expected[0]), float(np.abs(expected[1]).max()))
    assert abs(found[0] - expected[0]) < TOLERANCE * size
    np.testing.assert_allclose(found[1], expected[1], rtol=0.0, atol=TOLERANCE * size)


@given(atoms=any_structures())
def test_an_answer_is_finite_or_an_error_with_a_reason(calc: FoundationCalc, atoms: Atoms) -> None:
    before = atoms.copy()
    reason = ""
    try:
        energy, forces = results(calc, atoms)
    except AtomFMError as error:
        reason = str(error)
    if reason:
        assert len(reason) > 20
        assert calc.results == {}
    else:
        assert np.isfinite([energy, *forces.flat]).all()
        assert forces.shape == (len(atoms), 3)
    np.testing.assert_array_equal(atoms.positions, before.positions)
    np.testing.assert_array_equal(atoms.cell.array, before.cell.array)


@given(atoms=sound_structures(FEW), rotation=rotations(), seed=SEEDS)
def test_turned_mirrored_moved_and_reordered_it_is_the_same(
    calc: FoundationCalc, atoms: Atoms, rotation: np.ndarray, seed: int
) -> None:
    energy, forces = results(calc, atoms)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(atoms))
    other = atoms[order]
    other.positions = other.positions @ rotation.T + generator.uniform(-9.0, 9.0, 3)
    other.cell = atoms.cell.array @ rotation.T
    assert_same(results(calc, other), (energy, forces[order] @ rotation.T))
    np.testing.assert_allclose(forces.sum(axis=0), 0.0, atol=TOLERANCE * max(1.0, abs(energy)))


@given(atoms=sound_structures(FEW))
def test_wrapped_it_is_the_same(calc: FoundationCalc, atoms: Atoms) -> None:
    expected = results(calc, atoms)
    wrapped = atoms.copy()
    wrapped.wrap()
    assert_same(results(calc, wrapped), expected)


@given(structures=st.lists(sound_structures(st.integers(1, 40)), min_size=1, max_size=5))
def test_together_they_are_what_they_are_alone(
    calc: FoundationCalc, structures: list[Atoms]
) -> None:
    together = list(calc.predict_many(structures, max_atoms=50))
    for atoms, result in zip(structures, together, strict=True):
        assert_same((result.energy, np.asarray(result.forces)), results(calc, atoms))
        assert result.uncertainty is not None
        assert result.uncertainty.energy == pytest.approx(calc.uncertainty().energy, rel=1e-8)


@given(atoms=sound_structures(st.integers(1, 20)), axis=st.integers(0, 2))
def test_a_supercell_is_twice_its_cell(calc: FoundationCalc, atoms: Atoms, axis: int) -> None:
    if not atoms.pbc[axis]:
        return
    repeats = [1 + (axis == direction) for direction in range(3)]
    energy, forces = results(calc, atoms)
    expected = (2.0 * energy, np.concatenate([forces, forces]))
    assert_same(results(calc, atoms.repeat(repeats)), expected)


@given(atoms=any_structures(st.integers(1, 30)))
def test_each_of_several_heads_answers_or_says_why_not(calc: FoundationCalc, atoms: Atoms) -> None:
    (comparison,) = calc.evaluate_heads_of_many([atoms], forces=True)
    assert set(comparison.energies) | set(comparison.skipped) == set(calc.heads)
    assert all(np.isfinite(energy) for energy in comparison.energies.values())
    assert all(len(reason) > 20 for reason in comparison.skipped.values())
