"""Replay of pretraining data, forgetting, and the choice of a head to begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from atomfm_calc.errors import ConfigError
from atomfm_calc.models.derivatives import predict
from atomfm_calc.registry.catalog import load_model
from downstream.fit import Cell, fit_cell
from downstream.forgetting import Forgetting
from downstream.labeled import pack_samples
from downstream.recipe import Replay
from downstream.replay import PretrainingData, pretraining_data
from downstream.reuse import choose_head, composition, refit, settle
from downstream.splits import choose, make_folds
from tests.made.fine_tuning import dimer, only, recipe
from tests.made.models import CRYSTALS, MOLECULES, head_info, make_model_folder

OLD = {"pbe-svp": head_info((*MOLECULES, *CRYSTALS)), "no-data": head_info(CRYSTALS)}
POTENTIAL = {"head": "dimers", "labels": ["energy", "forces"]}
SAMPLES = [only(dimer(number), "energy", "forces") for number in range(16)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads of the smallest set of the collection, and of one that no data is here of."""
    return make_model_folder(tmp_path_factory.mktemp("old") / "model", OLD)


@pytest.fixture(scope="module")
def data(model: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainingData:
    """Of the heads whose data is in the repository."""
    return pretraining_data(tuple(OLD), 4.0, tmp_path_factory.mktemp("prepared"))


def test_heads_without_data_are_told_apart(data: PretrainingData) -> None:
    assert data.heads == ("pbe-svp",)
    assert data.absent == ("no-data",)
    with pytest.raises(ConfigError, match="replay of no-data needs their data, .* at hand: pbe-"):
        data.training_index(Replay(heads=("no-data",)), seed=0)


def test_only_structures_of_the_training_part_are_replayed(data: PretrainingData) -> None:
    index = data.training_index(Replay(structures_per_head=20), seed=0)["pbe-svp"]
    assert len(index) == 20
    assert set(index) <= set(data.data.splits["pbe-svp"]["train"])


def test_replay_trains_the_old_head_along(
    model: Path, data: PretrainingData, tmp_path: Path
) -> None:
    adapt = {"model": str(model), "replay": {"structures_per_head": 10}}
    made = recipe(model, potential=POTENTIAL, adapt=adapt)
    (fold,) = make_folds(SAMPLES, made.split)
    parts = choose(SAMPLES, fold, made.split, 8, seed=0)
    cell = Cell(fold=fold.name, mode="full", size=8, seed=0)
    fitted = fit_cell(made, cell, SAMPLES, parts, tmp_path, data)
    assert fitted is not None
    assert fitted.replayed == ("pbe-svp",)
    assert fitted.result.samples_seen["pbe-svp"] > 0
    before = load_model(model).model.head("pbe-svp").network[0].weight
    assert not torch.equal(fitted.adapted.model.head("pbe-svp").network[0].weight, before)


def test_an_unchanged_model_has_forgotten_nothing(model: Path, tmp_path: Path) -> None:
    made, pretrained = recipe(model, potential=POTENTIAL), load_model(model)
    matrix = Forgetting(made, pretrained, tmp_path / "cache", tmp_path).matrix(pretrained.model)
    assert matrix["pbe-svp"]["change"] == 0.0
    worse = load_model(model).model
    for parameter in worse.backbone.parameters():
        parameter.mul_(3.0)
    changed = Forgetting(made, pretrained, tmp_path / "cache", tmp_path).matrix(worse)
    assert changed["pbe-svp"]["after"] != changed["pbe-svp"]["before"]


def test_a_drift_of_energies_is_settled(model: Path, data: PretrainingData) -> None:
    loaded = load_model(model)
    graphs = data.graphs(data.training_index(Replay(structures_per_head=60), seed=0)["pbe-svp"])
    refit(loaded.model, "pbe-svp", graphs)
    references = loaded.model.head("pbe-svp").references
    before = references.clone()
    references.add_(0.3)  # eV per atom of all elements: what a moved backbone does
    settle(loaded.model, "pbe-svp", graphs)
    mean = composition(graphs).mean(axis=0)
    drift = float((references - before) @ torch.from_numpy(mean)) / float(mean.sum())
    assert abs(drift) < 0.02


def test_fitted_references_leave_no_mean_error(model: Path) -> None:
    loaded = load_model(model)
    graphs = pack_samples(SAMPLES, loaded.model.cutoff)
    refit(loaded.model, "pbe-svp", graphs)
    graph, targets = graphs.take(np.arange(len(graphs)))
    error = predict(loaded.model.energy_of("pbe-svp"), graph, ("energy",)).energy
    # labels are near -108 eV, where the random references of this model knew nothing of them
    assert abs(float((error - targets["energy"]).mean())) < 0.05


def test_the_head_that_covers_the_elements_is_chosen(model: Path) -> None:
    loaded = load_model(model)
    graphs = pack_samples(SAMPLES, loaded.model.cutoff)
    assert choose_head(loaded.model, loaded.card, graphs) == "pbe-svp"  # the other lacks carbon
    gold = pack_samples([dimer(0, partner=79)], loaded.model.cutoff)
    assert choose_head(loaded.model, loaded.card, gold) is None


def test_the_composition_counts_atoms(model: Path) -> None:
    counts = composition(pack_samples(SAMPLES[:1], 4.0))
    assert counts[0, [6, 8]].tolist() == [1.0, 1.0]
    assert counts.sum() == 2.0
