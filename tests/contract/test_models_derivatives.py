"""Forces, stress, Hessian and training gradients against central differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from atomfm_calc.errors import DataError, PropertyError, UnknownNameError
from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.models.derivatives import hessian, predict
from atomfm_calc.models.foundation import Energy, FoundationModel
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample
from tests.made.evaluate import (
    HEAD,
    assert_close,
    evaluate,
    graph_of,
    numerical_forces,
    numerical_hessian,
    numerical_stress,
)
from tests.made.structures import PERIODIC, STRUCTURES
from tests.made.tolerances import DIFFERENCES, STEP, TOLERANCES


def test_forces_are_minus_the_numerical_gradient(model: FoundationModel, structure: Sample) -> None:
    forces = evaluate(model, structure).forces
    assert structure.n_atoms == 1 or forces.abs().max() > 1e-3
    assert_close(forces, numerical_forces(model, structure), DIFFERENCES.forces)


@pytest.mark.parametrize("name", PERIODIC)
def test_stress_is_the_numerical_gradient_with_respect_to_strain(
    model: FoundationModel, name: str
) -> None:
    sample = STRUCTURES[name]
    stress = evaluate(model, sample, want=["stress"]).stress[0]
    assert stress.abs().max() > 1e-5
    assert_close(stress, numerical_stress(model, sample), DIFFERENCES.stress)


def test_a_stretched_crystal_has_positive_stress() -> None:
    def springs(graph: AtomicGraph) -> Energy:
        """Springs of rest length 0 between neighbors at 2.4 Å: E = 6 edges x d² / 4."""
        return Energy(edge_vectors(graph).square().sum()[None] / 4, None)

    iron = graph_from_sample(STRUCTURES["tiny cell"], cutoff=2.5)
    stress = predict(springs, iron, ["stress"]).stress[0]
    # two of the six edges lie along each axis: dE/dstrain = 2 x d² / 2
    assert_close(stress, torch.eye(3).double() * 2.4**2 / 2.4**3, TOLERANCES[torch.float64].stress)


@pytest.mark.parametrize("name", ["lone atom", "water", "hydroxide", "rock salt", "chain"])
def test_the_hessian_is_the_gradient_of_the_forces_and_symmetric(
    model: FoundationModel, name: str
) -> None:
    sample = STRUCTURES[name]
    result = hessian(model.energy_of(HEAD), graph_of(model, sample))
    # forces are rounded to 1e-16 / STEP = 1e-12 eV/Å² and curve over the step like the energy
    assert_close(result, numerical_hessian(model, sample), 1e-5)
    assert_close(result, result.T, TOLERANCES[torch.float64].forces)


def _loss(model: FoundationModel, samples: list[Sample]) -> Tensor:
    """Square errors of energy, forces and stress, as training sums them."""
    graph = graph_of(model, *samples)
    result = predict(
        model.energy_of(HEAD), graph, ("energy", "forces", "stress"), differentiable=True
    )
    periodic = graph.pbc.all(dim=1)
    return (
        0.1 * (result.energy + 1.0).square().sum()
        + (result.forces - 0.3).square().sum()
        + 10.0 * (result.stress[periodic] - 0.2).square().sum()
    )


def test_training_gradients_are_the_numerical_gradient_of_the_loss(
    model: FoundationModel,
) -> None:
    samples = [STRUCTURES[name] for name in ("water", "rock salt", "hydroxide", "lone atom")]
    weights = [weight.requires_grad_(True) for weight in model.parameters()]
    gradients = torch.autograd.grad(_loss(model, samples), weights, materialize_grads=True)
    generator = torch.Generator().manual_seed(11)
    for _ in range(3):
        direction = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]
        losses = []
        for step in (STEP, -2 * STEP):  # to +STEP, then to -STEP
            with torch.no_grad():
                for weight, change in zip(weights, direction, strict=True):
                    weight += step * change
            losses.append(_loss(model, samples).detach())
        with torch.no_grad():
            for weight, change in zip(weights, direction, strict=True):
                weight += STEP * change
        expected = (losses[0] - losses[1]) / (2 * STEP)
        actual = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
        assert actual.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)


def test_each_weight_has_a_gradient_from_forces_alone(model: FoundationModel) -> None:
    model.requires_grad_(True)
    graph = graph_of(model, STRUCTURES["ethanol"], STRUCTURES["hydroxide"])
    forces = predict(model.energy_of(HEAD), graph, ["forces"], differentiable=True).forces
    forces.square().sum().backward()
    still = [
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.any()
    ]
    # a constant in the energy exerts no force; this structure has no electrons missing or unpaired
    expected = {name for name in still if name.startswith(("heads.second", "heads.third"))}
    expected |= {f"heads.{HEAD}.network.2.bias"}
    expected |= {name for name in still if ".electronic.express." in name}
    assert set(still) <= expected


def test_stress_of_a_molecule_is_refused(model: FoundationModel) -> None:
    with pytest.raises(PropertyError, match="periodic in three directions"):
        evaluate(model, STRUCTURES["water"], want=["stress"])


def test_an_unknown_result_is_refused_by_name(model: FoundationModel) -> None:
    with pytest.raises(UnknownNameError, match="no result 'force'.*Did you mean 'forces'"):
        evaluate(model, STRUCTURES["water"], want=["force"])


def test_the_hessian_of_a_batch_is_refused(model: FoundationModel) -> None:
    graph = graph_of(model, STRUCTURES["water"], STRUCTURES["ethanol"])
    with pytest.raises(DataError, match="one structure, got 2"):
        hessian(model.energy_of(HEAD), graph)
