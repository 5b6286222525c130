"""HydraGNN's PaiNN against an independent NumPy implementation, on checkpoints written by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atomfm_calc.config import parse_config
from atomfm_calc.errors import ConfigError, UnknownNameError
from atomfm_calc.models.architecture import HydraPainnConfig
from atomfm_calc.models.derivatives import predict, predict_heads
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.hydra_painn import nearest_of_each_sender
from atomfm_calc.models.precision import set_dense_dtype
from atomfm_calc.models.weights import blank_model
from atomfm_calc.registry.hydragnn_files import read_run
from atomfm_calc.registry.hydragnn_weights import architecture_of, branches_of, translate
from tests.made.evaluate import assert_close, graph_of
from tests.made.hydragnn import ACTIVATIONS, MadeRun, energy, write
from tests.made.structures import ROTATION, STRUCTURES, rotate

MODES = ("none", "concat_node", "film", "fuse_pool")
NAMES = ("lone atom", "water", "hydroxide", "oxygen triplet", "rock salt", "slab", "chain")


def load(run: MadeRun, folder: Path, kernel: str = "reference") -> FoundationModel:
    """The model of a run's files, in float64."""
    files = read_run(write(run, folder))
    names = {branch: f"branch-{branch}" for branch in branches_of(files)}
    architecture = architecture_of(files, names)
    model = blank_model(architecture, list(names.values()), kernel).double()
    model.load_state_dict(translate(files, architecture, names), strict=False)
    return model.requires_grad_(False)


def assert_same(run: MadeRun, folder: Path, kernel: str = "reference") -> None:
    model = load(run, folder, kernel)
    samples = [STRUCTURES[name] for name in NAMES]
    found = model.energies(graph_of(model, *samples), model.head_names)
    for branch, energies in enumerate(found.values()):
        expected = [energy(run, sample, branch) for sample in samples]
        np.testing.assert_allclose(energies.structures, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("biased", [False, True], ids=["later", "5.0"])
@pytest.mark.parametrize("conditioning", MODES)
def test_energies_of_all_branches_are_those_of_the_description(
    conditioning: str, biased: bool, tmp_path: Path
) -> None:
    assert_same(MadeRun(conditioning=conditioning, biased=biased), tmp_path)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_function_is_that_of_the_description(
    activation: str, tmp_path: Path
) -> None:
    for mode in ("film", "fuse_pool"):
        assert_same(MadeRun(activation=activation, conditioning=mode), tmp_path / mode)


@pytest.mark.parametrize(
    "run",
    [
        MadeRun(n_layers=1),
        MadeRun(n_layers=1, biased=True, conditioning="none"),
        MadeRun(n_layers=3, n_shared=0, n_branches=1),
        MadeRun(pooling="mean"),
        MadeRun(pooling="max"),
        MadeRun(loss="GaussianNLLLoss"),
    ],
    ids=["one layer", "one biased layer", "one branch", "mean", "max", "variance"],
)
def test_other_depths_poolings_and_outputs_are_those_of_the_description(
    run: MadeRun, tmp_path: Path
) -> None:
    assert_same(run, tmp_path)


def test_a_fused_kernel_gives_the_energies_of_the_description(tmp_path: Path) -> None:
    assert_same(MadeRun(n_layers=3), tmp_path, kernel="cpu")


def test_a_lone_atom_leaves_training_gradients_finite(tmp_path: Path) -> None:
    model = load(MadeRun(), tmp_path).requires_grad_(True)
    graph = graph_of(model, STRUCTURES["lone atom"], STRUCTURES["water"])
    result = predict(model.energy_of("branch-0"), graph, differentiable=True)
    (result.forces.square().sum() + result.energy.sum()).backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert len(gradients) > 20
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("biased", [False, True], ids=["later", "5.0"])
def test_only_biased_vectors_make_the_energy_depend_on_the_orientation(
    biased: bool, tmp_path: Path
) -> None:
    model = load(MadeRun(biased=biased), tmp_path)
    ethanol = STRUCTURES["ethanol"]
    graph = graph_of(model, ethanol, rotate(ethanol, ROTATION))
    one, other = model.energy(graph, "branch-0").structures
    assert ((one - other).abs() > 1e-6) == biased
    assert (model.features(graph).vectors is None) == biased


def test_each_sender_keeps_its_nearest_receivers(tmp_path: Path) -> None:
    model = load(MadeRun(), tmp_path)
    graph = graph_of(model, STRUCTURES["slab"], STRUCTURES["skewed cell"])
    kept = nearest_of_each_sender(graph, 5)
    cell = graph.cell[graph.batch]
    lengths = {}
    for name, one in (("all", graph), ("kept", kept)):
        center, neighbor = one.edge_index
        shift = torch.einsum("ei,eij->ej", one.edge_shift, cell[center])
        r = one.positions[neighbor] - one.positions[center] + shift
        lengths[name] = [r.norm(dim=1)[neighbor == atom] for atom in range(len(cell))]
    for every, nearest in zip(lengths["all"], lengths["kept"], strict=True):
        assert_close(nearest.sort().values, every.sort().values[:5], 1e-12)
    assert bool((kept.edge_index[0].diff() >= 0).all())


def test_reduced_precision_of_dense_layers_is_near_full_precision(tmp_path: Path) -> None:
    model = load(MadeRun(hidden=16), tmp_path).float()
    graph = graph_of(model, STRUCTURES["ethanol"], STRUCTURES["lone atom"])
    full = predict_heads(model, graph, model.head_names, ("energy", "forces"))["branch-1"]
    set_dense_dtype(model, torch.bfloat16)
    reduced = predict_heads(model, graph, model.head_names, ("energy", "forces"))["branch-1"]
    scale = full.energy.abs().max()
    assert 0.0 < (reduced.energy - full.energy).abs().max() < 0.05 * scale  # bfloat16: 8 bits
    assert reduced.forces.isfinite().all()


@pytest.mark.parametrize("name", ["max_neighbors", "n_layers", "n_features", "cutoff"])
def test_sizes_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0"):
        parse_config(HydraPainnConfig, {name: 0}, "the test")


def test_an_unknown_activation_function_is_refused_by_name(tmp_path: Path) -> None:
    files = read_run(write(MadeRun(changes={"activation_function": "gelu"}), tmp_path))
    with pytest.raises(UnknownNameError, match="no activation function 'gelu'.*relu"):
        architecture_of(files, {0: "branch-0"})
