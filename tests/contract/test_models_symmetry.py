"""What does not matter to the physics must not matter to a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.sample import Sample
from tests.made.evaluate import assert_close, evaluate, wanted
from tests.made.structures import (
    REFLECTION,
    ROTATION,
    STRUCTURES,
    permute,
    rotate,
    supercell,
    translate,
    unwrap,
)
from tests.made.tolerances import Tolerances


@pytest.mark.parametrize("matrix", [ROTATION, REFLECTION], ids=["rotation", "reflection"])
def test_forces_and_stress_turn_with_the_structure(
    model: FoundationModel, structure: Sample, matrix: np.ndarray, tolerance: Tolerances
) -> None:
    want = wanted(structure)
    before = evaluate(model, structure, want=want)
    after = evaluate(model, rotate(structure, matrix), want=want)
    turn = torch.from_numpy(matrix)
    assert_close(after.energy, before.energy, tolerance.energy_eV)
    assert_close(after.atom_energies, before.atom_energies, tolerance.energy_eV)
    assert_close(after.forces, before.forces @ turn.T, tolerance.forces)
    if "stress" in want:
        assert_close(after.stress, turn @ before.stress @ turn.T, tolerance.stress)


def test_the_order_of_the_atoms_does_not_matter(
    model: FoundationModel, structure: Sample, tolerance: Tolerances
) -> None:
    order = np.random.default_rng(5).permutation(structure.n_atoms)
    before, after = evaluate(model, structure), evaluate(model, permute(structure, order))
    assert_close(after.energy, before.energy, tolerance.energy_eV)
    assert_close(after.forces, before.forces[order], tolerance.forces)


def test_moving_all_atoms_together_changes_nothing(
    model: FoundationModel, structure: Sample, tolerance: Tolerances
) -> None:
    moved = translate(structure, np.array([3.1, -7.7, 11.3]))
    before, after = evaluate(model, structure), evaluate(model, moved)
    assert_close(after.energy, before.energy, tolerance.energy_eV)
    assert_close(after.forces, before.forces, tolerance.forces)


def test_wrapped_and_unwrapped_positions_give_the_same(
    model: FoundationModel, structure: Sample, tolerance: Tolerances
) -> None:
    want = wanted(structure)
    before = evaluate(model, structure, want=want)
    after = evaluate(model, unwrap(structure), want=want)
    assert_close(after.energy, before.energy, tolerance.energy_eV)
    assert_close(after.forces, before.forces, tolerance.forces)
    if "stress" in want:
        assert_close(after.stress, before.stress, tolerance.stress)


def test_forces_add_up_to_zero(
    model: FoundationModel, structure: Sample, tolerance: Tolerances
) -> None:
    total = evaluate(model, structure).forces.sum(dim=0)
    assert_close(total, torch.zeros(3), tolerance.forces)


def test_stress_is_symmetric(model: FoundationModel, tolerance: Tolerances) -> None:
    stress = evaluate(model, STRUCTURES["skewed cell"], want=["stress"]).stress[0]
    assert stress.abs().max() > 1e-5
    assert_close(stress, stress.T, tolerance.stress)


def test_another_choice_of_lattice_vectors_changes_nothing(
    model: FoundationModel, tolerance: Tolerances
) -> None:
    skewed = STRUCTURES["skewed cell"]
    back = np.array([[1, 0, 0], [0, 1, 0], [-2, 1, 1]])  # undoes the skew of the made structure
    plain = replace(skewed, cell=back @ skewed.cell)
    before = evaluate(model, skewed, want=wanted(skewed))
    after = evaluate(model, plain, want=wanted(plain))
    assert_close(after.energy, before.energy, tolerance.energy_eV)
    assert_close(after.stress, before.stress, tolerance.stress)


@pytest.mark.parametrize("name", ["slab", "chain"])
def test_the_lattice_vector_of_an_open_direction_has_no_effect(
    model: FoundationModel, name: str, tolerance: Tolerances
) -> None:
    sample = STRUCTURES[name]
    other_cell = np.where(sample.pbc[:, None], sample.cell, np.array([0.3, 0.2, 1.7]))
    other = replace(sample, cell=other_cell)
    assert_close(evaluate(model, other).forces, evaluate(model, sample).forces, tolerance.forces)


@pytest.mark.parametrize(
    ("name", "repeats"),
    [
        ("rock salt", (2, 1, 2)),
        ("skewed cell", (1, 2, 1)),
        ("tiny cell", (3, 2, 1)),
        ("slab", (2, 2, 1)),
        ("chain", (1, 1, 3)),
    ],
)
def test_energy_of_a_supercell_is_a_multiple(
    extensive_model: FoundationModel,
    name: str,
    repeats: tuple[int, int, int],
    tolerance: Tolerances,
) -> None:
    sample = STRUCTURES[name]
    n_copies = int(np.prod(repeats))
    want = wanted(sample)
    one = evaluate(extensive_model, sample, want=want)
    many = evaluate(extensive_model, supercell(sample, repeats), want=want)
    assert_close(many.energy, n_copies * one.energy, n_copies * tolerance.energy_eV)
    assert_close(many.forces, one.forces.repeat(n_copies, 1), tolerance.forces)
    if "stress" in want:
        assert_close(many.stress, one.stress, tolerance.stress)
