"""Structures in one batch, and molecules far apart, do not know of each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from atomfm_calc.graph import collate, split
from atomfm_calc.models.derivatives import predict, predict_heads
from atomfm_calc.models.foundation import FoundationModel
from tests.contract.conftest import HEADS
from tests.made.evaluate import assert_close, evaluate, graph_of
from tests.made.structures import STRUCTURES, far_copies, translate
from tests.made.tolerances import Tolerances


def test_a_ragged_batch_equals_its_structures_one_by_one(
    model: FoundationModel, tolerance: Tolerances
) -> None:
    together = evaluate(model, *STRUCTURES.values())
    singles = [evaluate(model, sample) for sample in STRUCTURES.values()]
    assert_close(together.energy, torch.cat([one.energy for one in singles]), tolerance.energy_eV)
    assert_close(together.forces, torch.cat([one.forces for one in singles]), tolerance.forces)


def test_stress_in_a_mixed_batch_is_nan_where_it_is_not_defined(
    model: FoundationModel, tolerance: Tolerances
) -> None:
    water, salt, slab = (STRUCTURES[name] for name in ("water", "rock salt", "slab"))
    stress = evaluate(model, water, salt, slab, want=["stress"]).stress
    assert stress[[0, 2]].isnan().all()
    assert_close(stress[1], evaluate(model, salt, want=["stress"]).stress[0], tolerance.stress)


def test_splitting_undoes_collating(model: FoundationModel) -> None:
    singles = [graph_of(model, sample) for sample in STRUCTURES.values()]
    for before, after in zip(singles, split(collate(singles)), strict=True):
        for name, field in before._asdict().items():
            assert torch.equal(getattr(after, name), field), name


def test_no_gradient_crosses_from_one_structure_to_another(model: FoundationModel) -> None:
    graph = graph_of(model, *STRUCTURES.values())
    positions = graph.positions.clone().requires_grad_(True)
    energy = model.energy(graph._replace(positions=positions), HEADS[0]).structures
    chosen = list(STRUCTURES).index("ethanol")
    (gradient,) = torch.autograd.grad(energy[chosen], positions)
    of_others = gradient[graph.batch != chosen]
    assert gradient[graph.batch == chosen].abs().max() > 1e-3
    assert torch.equal(of_others, torch.zeros_like(of_others))


def test_the_order_of_structures_in_a_batch_does_not_matter(
    model: FoundationModel, tolerance: Tolerances
) -> None:
    samples = list(STRUCTURES.values())
    forward, backward = evaluate(model, *samples), evaluate(model, *reversed(samples))
    assert_close(backward.energy, forward.energy.flip(0), tolerance.energy_eV)


@pytest.mark.parametrize("name", ["lone atom", "water", "ammonium", "hydroxide", "oxygen triplet"])
def test_far_copies_have_the_energy_of_one_times_their_number(
    extensive_model: FoundationModel, name: str, tolerance: Tolerances
) -> None:
    sample = STRUCTURES[name]
    one, three = evaluate(extensive_model, sample), evaluate(extensive_model, far_copies(sample, 3))
    assert_close(three.energy, 3 * one.energy, 3 * tolerance.energy_eV)
    assert_close(three.forces, one.forces.repeat(3, 1), tolerance.forces)


def test_a_charge_is_shared_by_far_molecules_but_their_neighbors_stay_apart(
    model: FoundationModel,
) -> None:
    pair = far_copies(STRUCTURES["water"], 2)
    nearer = far_copies(STRUCTURES["water"], 2, distance=30.0)
    assert torch.equal(evaluate(model, pair).energy, evaluate(model, nearer).energy)


def test_atom_energies_add_up_to_the_energy(
    extensive_model: FoundationModel, tolerance: Tolerances
) -> None:
    graph = graph_of(extensive_model, *STRUCTURES.values())
    result = predict(extensive_model.energy_of(HEADS[0]), graph, ["energy"])
    for index, energy in enumerate(result.energy):
        assert_close(result.atom_energies[graph.batch == index].sum(), energy, tolerance.energy_eV)


def test_mixed_heads_give_each_structure_the_energy_of_its_own_head(
    model: FoundationModel, tolerance: Tolerances
) -> None:
    samples = list(STRUCTURES.values())
    head_index = torch.arange(len(samples)) % 2  # the third head gets no structure
    mixed = model.energy_of_mixed_heads(graph_of(model, *samples), head_index).structures
    own = [
        evaluate(model, sample, head=HEADS[index]).energy
        for sample, index in zip(samples, head_index.tolist(), strict=True)
    ]
    assert_close(mixed, torch.cat(own), tolerance.energy_eV)


@pytest.mark.parametrize("want", [("energy",), ("energy", "forces", "stress")], ids=str)
def test_several_heads_from_one_backbone_pass_equal_each_head(
    model: FoundationModel, want: tuple[str, ...], tolerance: Tolerances
) -> None:
    graph = graph_of(model, STRUCTURES["rock salt"], STRUCTURES["skewed cell"])
    together = predict_heads(model, graph, HEADS[:2], want)
    assert list(together) == list(HEADS[:2])
    for head, found in together.items():
        alone = predict(model.energy_of(head), graph, want)
        assert_close(found.energy, alone.energy, tolerance.energy_eV)
        assert_close(found.atom_energies, alone.atom_energies, tolerance.energy_eV)
        if "forces" in want:
            assert_close(found.forces, alone.forces, tolerance.forces)
            assert_close(found.stress, alone.stress, tolerance.stress)


def test_a_prediction_leaves_graph_and_model_as_they_were(model: FoundationModel) -> None:
    graph = graph_of(model, STRUCTURES["rock salt"])
    before = [field.clone() for field in graph]
    predict(model.energy_of(HEADS[0]), graph, ("energy", "forces", "stress"))
    assert all(map(torch.equal, before, graph))
    assert not graph.positions.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_moving_one_of_two_far_molecules_leaves_the_forces_on_the_other(
    extensive_model: FoundationModel, tolerance: Tolerances
) -> None:
    water = STRUCTURES["water"]
    pair = far_copies(water, 2)
    change = np.vstack([np.zeros((3, 3)), np.random.default_rng(1).normal(0, 0.1, (3, 3))])
    before, after = (
        evaluate(extensive_model, pair),
        evaluate(extensive_model, translate(pair, change)),
    )
    assert_close(after.forces[:3], before.forces[:3], tolerance.forces)
    assert (after.forces[3:] - before.forces[3:]).abs().max() > 1e-3
