"""Property heads as physics: what a rotation, a supercell and another order do to a value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from atomfm_calc.errors import ConfigError, UnknownNameError
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.property_heads import HEADS, POOLINGS, PropertyHeadConfig
from atomfm_calc.models.weights import load_weights, save_weights
from atomfm_calc.sample import Sample
from tests.made.evaluate import graph_of
from tests.made.models import small_model
from tests.made.structures import ROTATION, STRUCTURES, permute, rotate, supercell

CONFIGS = {
    "atom-scalar": PropertyHeadConfig(kind="atom-scalar", unit="e"),
    "structure-class": PropertyHeadConfig(kind="structure-class", unit="1", classes=("a", "b")),
    "structure-scalar": PropertyHeadConfig(kind="structure-scalar", unit="eV", pooling="attention"),
}
CRYSTAL = STRUCTURES[next(name for name, one in STRUCTURES.items() if one.pbc.all())]


def _model(config: PropertyHeadConfig) -> FoundationModel:
    model = small_model(("one",))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head = model.add_property_head("value", config)
        head.references.copy_(torch.randn(head.references.shape))
        head.scale.fill_(0.7)
        for parameter in head.parameters():
            parameter.data = torch.randn(parameter.shape)
    return model.to(torch.float64)


def _values(model: FoundationModel, *samples: Sample) -> Tensor:
    with torch.no_grad():
        learned = model.properties(graph_of(model, *samples), ["value"])["value"]
        return model.property_head("value").value(learned)


def test_every_kind_has_a_configuration_here() -> None:
    assert set(CONFIGS) == set(HEADS)


@pytest.mark.parametrize("kind", HEADS)
def test_a_value_does_not_change_when_the_structure_is_rotated(kind: str) -> None:
    model = _model(CONFIGS[kind])
    for sample in STRUCTURES.values():
        torch.testing.assert_close(_values(model, rotate(sample, ROTATION)), _values(model, sample))


@pytest.mark.parametrize("kind", HEADS)
def test_a_batch_of_different_sizes_gives_the_single_values(kind: str) -> None:
    model, samples = _model(CONFIGS[kind]), list(STRUCTURES.values())
    singles = torch.cat([_values(model, sample) for sample in samples])
    torch.testing.assert_close(_values(model, *samples), singles)


def test_the_order_of_atoms_changes_only_their_order() -> None:
    model = _model(CONFIGS["atom-scalar"])
    order = np.array([2, 0, 1])
    sample = next(one for one in STRUCTURES.values() if one.n_atoms == 3)
    values = _values(model, permute(sample, order))
    torch.testing.assert_close(values, _values(model, sample)[torch.from_numpy(order)])


@pytest.mark.parametrize(("pooling", "factor"), [("mean", 1), ("attention", 1), ("sum", 2)])
def test_a_supercell_has_the_value_or_the_multiple(pooling: str, factor: int) -> None:
    model = _model(replace(CONFIGS["structure-scalar"], pooling=pooling))
    model.property_head("value").offset.fill_(0.0)
    doubled = _values(model, supercell(CRYSTAL, (1, 1, 2)))
    torch.testing.assert_close(doubled, factor * _values(model, CRYSTAL))


def test_every_pooling_is_tested_on_a_supercell() -> None:
    assert set(POOLINGS) == {"mean", "attention", "sum"}


def test_probabilities_add_up_to_one() -> None:
    values = _values(_model(CONFIGS["structure-class"]), *STRUCTURES.values())
    torch.testing.assert_close(values.sum(dim=1), torch.ones(len(values), dtype=torch.float64))


def test_a_logarithm_is_undone() -> None:
    config = PropertyHeadConfig(kind="structure-scalar", unit="GPa", transform="log10")
    head = _model(config).property_head("value")
    labels = torch.tensor([0.01, 1.0, 250.0], dtype=torch.float64)
    torch.testing.assert_close(head.value(head.learned(labels)), labels)
    assert head.learned(labels).tolist()[:2] == [-2.0, 0.0]


@pytest.mark.parametrize("kind", HEADS)
def test_a_saved_head_is_the_same_head(kind: str, tmp_path: Path) -> None:
    model = _model(CONFIGS[kind]).to(torch.float32)
    save_weights(model, tmp_path / "model")
    loaded = load_weights(tmp_path / "model")
    assert loaded.property_configs == {"value": CONFIGS[kind]}
    assert torch.equal(_values(loaded, CRYSTAL), _values(model, CRYSTAL))


def test_names_of_energies_and_unknown_names_are_refused() -> None:
    model = _model(CONFIGS["atom-scalar"])
    with pytest.raises(ConfigError, match="energy, atom_energies, forces, stress belong to"):
        model.add_property_head("energy", CONFIGS["atom-scalar"])
    with pytest.raises(UnknownNameError, match="no property 'valeu'; .*Did you mean 'value'"):
        model.property_head("valeu")
    with pytest.raises(ValueError, match="structure-class needs two or more"):
        PropertyHeadConfig(kind="structure-class", unit="1")
