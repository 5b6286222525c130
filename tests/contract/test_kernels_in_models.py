"""Models give the same with every kernel: values, derivatives, derivatives of derivatives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
from atomfm_calc.models.derivatives import Prediction, hessian, predict
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.painn import Message
from tests.made.evaluate import HEAD, assert_close, graph_of
from tests.made.kernels import ON_CPU, OTHERS
from tests.made.structures import PERIODIC, STRUCTURES

EXACT = {torch.float32: 1e-5, torch.float64: 1e-8}
"""eV, eV/Å, eV/Å³ that any kernel may differ; phonons need the second."""


def _model(kernel: str, dtype: torch.dtype, filter_scale: float = 5.0) -> FoundationModel:
    """Filters as large as trained ones, so that forces are those of the network."""
    architecture = Architecture(
        painn=PainnConfig(n_features=8, n_layers=3, n_radial=20, cutoff=5.0),
        head=EnergyHeadConfig(hidden=(6,)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = FoundationModel(architecture, [HEAD], kernel)
    for block in model.backbone.message_blocks:
        block.radial_filter.weight.data *= filter_scale
    return model.to(dtype).requires_grad_(False)


def _prediction(kernel: str, dtype: torch.dtype, names: tuple[str, ...]) -> Prediction:
    model = _model(kernel, dtype)
    graph = graph_of(model, *(STRUCTURES[name] for name in names))
    want = ("energy", "forces", "stress") if set(names) & set(PERIODIC) else ("energy", "forces")
    return predict(model.energy_of(HEAD), graph, want)


@pytest.mark.parametrize("dtype", EXACT, ids=str)
@pytest.mark.parametrize("names", [*((name,) for name in STRUCTURES), tuple(STRUCTURES)], ids=len)
@pytest.mark.parametrize("kernel", OTHERS)
def test_energy_forces_and_stress_are_those_of_the_reference(
    kernel: str, names: tuple[str, ...], dtype: torch.dtype
) -> None:
    found, wanted = (_prediction(one, dtype, names) for one in (kernel, "reference"))
    scale = max(1.0, wanted.forces.abs().max().item())
    for name in ("energy", "atom_energies", "forces", "stress"):
        actual, expected = getattr(found, name), getattr(wanted, name)
        if expected is not None:
            torch.testing.assert_close(
                actual, expected, atol=EXACT[dtype] * scale, rtol=0.0, equal_nan=True
            )


@pytest.mark.parametrize("name", ["water", "skewed cell", "chain", "lone atom"])
@pytest.mark.parametrize("kernel", OTHERS)
def test_second_derivatives_of_frozen_models_are_those_of_the_reference(
    kernel: str, name: str
) -> None:
    matrices = []
    for one in (kernel, "reference"):
        model = _model(one, torch.float64)
        matrices.append(hessian(model.energy_of(HEAD), graph_of(model, STRUCTURES[name])))
    assert_close(*matrices, 1e-8 * max(1.0, matrices[1].abs().max().item()))


def _gradients_of_a_force_loss(kernel: str, choose: Callable[[str], bool]) -> list[Tensor]:
    """Gradients with respect to the parameters whose names are chosen, the others frozen."""
    model = _model(kernel, torch.float64)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(choose(name))
    graph = graph_of(model, *STRUCTURES.values())
    result = predict(model.energy_of(HEAD), graph, ("energy", "forces"), differentiable=True)
    loss = result.forces.square().sum() + result.energy.square().sum()
    chosen = [p for p in model.parameters() if p.requires_grad]
    return list(torch.autograd.grad(loss, chosen, materialize_grads=True))


@pytest.mark.parametrize(
    "part", ["", "heads.", "phi", "radial_filter", "message_blocks.1.", "update_blocks.0."]
)
@pytest.mark.parametrize("kernel", OTHERS)
def test_a_part_is_trained_on_forces_as_with_the_reference(kernel: str, part: str) -> None:
    found, wanted = (
        _gradients_of_a_force_loss(one, lambda name: part in name) for one in (kernel, "reference")
    )
    for actual, expected in zip(found, wanted, strict=True):
        assert expected.isfinite().all()
        assert_close(actual, expected, 1e-8 * max(1.0, expected.abs().max().item()))


@pytest.mark.parametrize("kernel", OTHERS)
def test_recomputing_blocks_changes_nothing(kernel: str) -> None:
    model = _model(kernel, torch.float64)
    graph = graph_of(model, *STRUCTURES.values())
    kept = predict(model.energy_of(HEAD), graph, ("energy", "forces"))
    model.set_recompute(True)
    recomputed = predict(model.energy_of(HEAD), graph, ("energy", "forces"))
    assert_close(recomputed.forces, kept.forces, 1e-13)


@pytest.mark.parametrize("kernel", OTHERS)
def test_inference_reads_tables_and_training_does_not(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Message] = []
    make = Message.table
    monkeypatch.setattr(Message, "table", lambda block: (made.append(block), make(block))[1])
    model = _model(kernel, torch.float64)
    graph: AtomicGraph = graph_of(model, STRUCTURES["water"])
    predict(model.energy_of(HEAD), graph)
    expected = len(model.backbone.message_blocks) if KERNELS[kernel].reads_tables else 0
    assert len(made) == expected
    model.requires_grad_(True)
    predict(model.energy_of(HEAD), graph)
    assert len(made) == expected


@pytest.mark.parametrize("kernel", ON_CPU)
def test_forces_may_be_asked_for_where_gradients_are_switched_off(kernel: str) -> None:
    model = _model(kernel, torch.float64)
    graph = graph_of(model, STRUCTURES["ethanol"])
    expected = predict(model.energy_of(HEAD), graph)
    with torch.no_grad():
        found = predict(model.energy_of(HEAD), graph)
        energy = predict(model.energy_of(HEAD), graph, ("energy",)).energy
    assert torch.equal(found.forces, expected.forces)
    assert torch.equal(energy, expected.energy)
