"""What is trained in which mode, and low-rank additions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atomfm_calc.errors import ConfigError
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.catalog import load_model
from downstream.adapt import Adapted, adapt
from downstream.labeled import pack_samples
from downstream.lora import add_low_rank, merge_low_rank
from downstream.modes import MODES, mode_name, rate_factors
from downstream.recipe import Adapt
from tests.made.evaluate import graph_of
from tests.made.fine_tuning import dimer, only, recipe
from tests.made.models import small_model
from tests.made.structures import STRUCTURES

WATER = STRUCTURES["water"]


def _adapted(pretrained: Path, mode: str) -> Adapted:
    samples = [only(dimer(number), "bond") for number in range(6)]
    loaded = load_model(pretrained)
    graphs = pack_samples(samples, loaded.model.cutoff)
    return adapt(recipe(pretrained), MODES[mode], loaded, graphs, samples, seed=4)


def _trained(model: FoundationModel) -> set[str]:
    return {name for name, value in model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("mode", ["frozen", "lora"])
def test_the_pretrained_weights_are_not_trained(pretrained: Path, mode: str) -> None:
    names = _trained(_adapted(pretrained, mode).model)
    own = {name for name in names if name.startswith("backbone.")}
    assert all("parametrizations" in name for name in own)
    assert any(name.startswith("property_heads.bond.") for name in names)


def test_the_last_layer_is_trained_and_no_other(pretrained: Path) -> None:
    names = _trained(_adapted(pretrained, "last-1").model)
    blocks = {".".join(name.split(".")[:3]) for name in names if name.startswith("backbone.")}
    assert blocks == {"backbone.message_blocks.1", "backbone.update_blocks.1"}


@pytest.mark.parametrize("mode", ["full", "scratch"])
def test_everything_but_old_heads_is_trained(pretrained: Path, mode: str) -> None:
    model = _adapted(pretrained, mode).model
    rest = {name for name, _ in model.named_parameters()} - _trained(model)
    assert all(name.startswith("heads.") for name in rest)


def test_scratch_begins_with_other_weights_and_no_old_head(pretrained: Path) -> None:
    scratch, full = (_adapted(pretrained, mode).model for mode in ("scratch", "full"))
    assert scratch.head_names == ()
    assert not torch.equal(scratch.backbone.embedding.weight, full.backbone.embedding.weight)


def test_the_same_seed_gives_the_same_fresh_weights(pretrained: Path) -> None:
    one, other = (_adapted(pretrained, "scratch").model.state_dict() for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_deeper_layers_learn_more_slowly(pretrained: Path) -> None:
    model = small_model(("one",))
    settings = Adapt(backbone_rate=0.5, layer_decay=0.1)
    factors = rate_factors(model, MODES["full"], settings)
    assert factors["backbone.update_blocks.1."] == pytest.approx(0.5)
    assert factors["backbone.message_blocks.0."] == pytest.approx(0.05)
    assert factors["backbone."] == pytest.approx(0.005)
    assert rate_factors(model, MODES["scratch"], settings) == {}


def test_additions_change_nothing_before_training() -> None:
    model = small_model(("one",))
    before = model.energy(graph_of(model, WATER), "one").structures
    assert add_low_rank(model.backbone, rank=2) > 0
    assert torch.equal(model.energy(graph_of(model, WATER), "one").structures, before)


def test_merged_additions_are_the_same_model_with_plain_names() -> None:
    model = small_model(("one",))
    names = set(model.state_dict())
    add_low_rank(model.backbone, rank=2)
    for name, value in model.named_parameters():
        if name.endswith(".up"):
            value.data = torch.full_like(value, 0.1)
    trained = model.energy(graph_of(model, WATER), "one").structures
    merge_low_rank(model.backbone)
    assert set(model.state_dict()) == names
    merged = model.energy(graph_of(model, WATER), "one").structures
    torch.testing.assert_close(merged, trained)


def test_a_part_of_fresh_weights_is_no_mode() -> None:
    assert mode_name(Adapt(start="pretrained", train="lora")) == "lora"
    with pytest.raises(ConfigError, match=r"begins from scratch is trained as a whole"):
        mode_name(Adapt(start="scratch", train="head"))


def test_references_of_a_property_predict_the_training_values(pretrained: Path) -> None:
    target = {"bond": {"unit": "angstrom", "references": True, "pooling": "sum"}}
    made = recipe(pretrained, targets=target)
    samples = [
        replace(one, targets={"bond": np.array(float(one.atomic_numbers.sum()))})
        for one in (dimer(number, partner=6 + number % 3) for number in range(9))
    ]
    loaded = load_model(pretrained)
    graphs = pack_samples(samples, loaded.model.cutoff)
    head = adapt(made, MODES["frozen"], loaded, graphs, samples, 0).model.property_head("bond")
    # the value is the sum of the atomic numbers, which a linear fit knows exactly but for the ridge
    assert head.references[8] - head.references[6] == pytest.approx(2.0, abs=0.05)
