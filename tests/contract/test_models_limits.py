"""The edges of what a model is for: cutoff, lone atoms, precision, charge, files, other heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atomfm_calc.models.derivatives import predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.weights import load_weights, save_weights
from atomfm_calc.sample import Sample
from tests.contract.conftest import HEADS
from tests.made.evaluate import assert_close, evaluate, graph_of, wanted
from tests.made.structures import ELECTRONIC, NEUTRAL, STRUCTURES
from tests.made.tolerances import TOLERANCES, Tolerances

HAIR = 1e-7
"""Å on either side of the cutoff; envelope and force there are below (pi HAIR / cutoff)² and
pi² HAIR / cutoff² of their size inside."""


def _with_atom_at(distance: float, crowd: Sample) -> Sample:
    """`crowd` with a sulfur atom at `distance` Å above its first atom, far from all others."""
    lowest = replace(crowd, positions=crowd.positions - crowd.positions[0])
    below = lowest.positions - np.array([0.0, 0.0, lowest.positions[:, 2].max()])
    return replace(
        lowest,
        atomic_numbers=np.append(lowest.atomic_numbers, 16),
        positions=np.vstack([below, below[lowest.positions[:, 2].argmax()] + [0, 0, distance]]),
    )


@pytest.mark.parametrize("name", ["lone atom", "water"])
def test_energy_and_forces_are_continuous_as_an_atom_crosses_the_cutoff(
    model: FoundationModel, name: str
) -> None:
    inside, outside = (
        evaluate(model, _with_atom_at(model.cutoff + side * HAIR, STRUCTURES[name]))
        for side in (-1, 1)
    )
    assert_close(inside.energy, outside.energy, 1e-10)
    assert_close(inside.forces, outside.forces, 10 * HAIR)


def test_an_atom_inside_the_cutoff_is_felt(model: FoundationModel) -> None:
    near = evaluate(model, _with_atom_at(0.7 * model.cutoff, STRUCTURES["water"]))
    far = evaluate(model, _with_atom_at(1.1 * model.cutoff, STRUCTURES["water"]))
    assert (near.energy - far.energy).abs() > 1e-6


def test_a_lone_atom_has_an_energy_and_no_force(model: FoundationModel) -> None:
    alone = evaluate(model, STRUCTURES["lone atom"])
    assert alone.energy.isfinite().all()
    assert torch.equal(alone.forces, torch.zeros_like(alone.forces))


def test_a_crystal_without_edges_has_no_forces_and_no_stress(model: FoundationModel) -> None:
    atom = STRUCTURES["lone atom"]
    sparse = replace(atom, cell=np.eye(3) * (model.cutoff + 1), pbc=np.ones(3, dtype=bool))
    result = evaluate(model, sparse, want=("forces", "stress"))
    assert_close(result.energy, evaluate(model, atom).energy, 1e-12)
    assert torch.equal(result.forces, torch.zeros_like(result.forces))
    assert torch.equal(result.stress, torch.zeros_like(result.stress))


def test_single_precision_is_near_double_precision(
    model: FoundationModel, structure: Sample
) -> None:
    tolerance = TOLERANCES[torch.float32]
    want = wanted(structure)
    double = evaluate(model, structure, want=want)
    single = evaluate(model.to(torch.float32), structure, want=want)
    assert single.forces.dtype == torch.float32
    assert_close(single.energy, double.energy, tolerance.energy_eV)
    assert_close(single.forces, double.forces, tolerance.forces)
    if "stress" in want:
        assert_close(single.stress, double.stress, tolerance.stress)


def test_references_keep_double_precision_in_a_single_precision_model(
    model: FoundationModel,
) -> None:
    single = model.to(torch.float32)
    argon = STRUCTURES["lone atom"]
    before = evaluate(single, argon).energy
    single.head("first").references[18] += -14354.25 + 1e-9
    assert (evaluate(single, argon).energy - before).item() == pytest.approx(
        -14354.25 + 1e-9, abs=1e-11
    )


def test_a_saved_model_comes_back_with_the_same_bits(
    model: FoundationModel, structure: Sample, tmp_path: Path
) -> None:
    single = model.to(torch.float32)
    save_weights(single, tmp_path / "model.safetensors")
    loaded = load_weights(tmp_path / "model.safetensors", model.kernel)
    for name in HEADS:
        before, after = (evaluate(one, structure, head=name) for one in (single, loaded))
        assert torch.equal(before.energy, after.energy)
        assert torch.equal(before.forces, after.forces)


def test_training_one_head_leaves_the_others_as_they_were(model: FoundationModel) -> None:
    samples = list(STRUCTURES.values())
    model.head("second").requires_grad_(True)
    before = [evaluate(model, *samples, head=name).energy for name in HEADS]
    optimizer = torch.optim.SGD(model.head("second").parameters(), lr=1e-3)
    graph = graph_of(model, *samples)
    result = predict(model.energy_of("second"), graph, ("forces",), differentiable=True)
    (result.forces.square().sum() + result.energy.square().sum()).backward()
    optimizer.step()
    after = [evaluate(model, *samples, head=name).energy for name in HEADS]
    same = [torch.equal(old, new) for old, new in zip(before, after, strict=True)]
    assert same == [True, False, True]


@pytest.mark.parametrize("name", ELECTRONIC)
def test_charge_and_multiplicity_change_the_energy(model: FoundationModel, name: str) -> None:
    electronic = STRUCTURES[name]
    neutral = replace(electronic, charge=0, multiplicity=1)
    difference = evaluate(model, electronic).energy - evaluate(model, neutral).energy
    assert difference.abs() > 1e-4


def test_electrons_added_and_missing_are_not_the_same(model: FoundationModel) -> None:
    water = STRUCTURES["water"]
    plus, minus = (evaluate(model, replace(water, charge=charge)).energy for charge in (1, -1))
    assert (plus - minus).abs() > 1e-4


def test_a_neutral_singlet_is_exactly_unaffected_by_the_conditioning(
    embedding_model: FoundationModel,
) -> None:
    samples = [STRUCTURES[name] for name in NEUTRAL]
    before = evaluate(embedding_model, *samples)
    for parameter in embedding_model.backbone.electronic.parameters():
        parameter.normal_(std=5.0)
    after = evaluate(embedding_model, *samples)
    assert torch.equal(before.energy, after.energy)
    assert torch.equal(before.forces, after.forces)


def test_a_neutral_molecule_does_not_feel_a_charged_one_in_its_batch(
    model: FoundationModel, tolerance: Tolerances
) -> None:
    water, ion = STRUCTURES["water"], STRUCTURES["hydroxide"]
    together, alone = evaluate(model, ion, water), evaluate(model, water)
    assert_close(together.energy[1], alone.energy[0], tolerance.energy_eV)
