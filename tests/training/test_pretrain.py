"""From a file to a model folder, the whole way, in miniature."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.data import chemical_symbols

from atomfm_calc.config import load_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.registry.catalog import load_model, parity_of
from atomfm_calc.registry.parity import save_parity
from tests.training.made import LIMITS, SMALL, labeled
from training.config import DataConfig, DurationConfig, FitConfig, PretrainConfig
from training.datasets import DATASETS
from training.evaluate import evaluate_run, load_average
from training.export import CardText, export
from training.hpo.campaign import CampaignConfig
from training.parity import parity_of_run
from training.pretrain import alone_config, pretrain
from training.start import start_model

CONFIGS = Path(__file__).parents[2] / "training" / "configs"
TEXT = CardText(
    name="made", version="0.1.0", title="t", description="d", licence="MIT", citation="c",
    default_head="one", default_head_reason="r",
)  # fmt: skip


def _write(path: Path, shift: float) -> Path:
    with path.open("w") as file:
        for seed in range(60):
            sample = labeled(2 + seed % 4, seed)
            energy = float(sample.targets["energy"]) + shift * sample.n_atoms
            header = "Properties=species:S:1:pos:R:3:REF_forces:R:3"
            file.write(f'{sample.n_atoms}\n{header} REF_energy={energy} pbc="F F F"\n')
            rows = np.hstack([sample.positions, sample.targets["forces"]])
            for number, row in zip(sample.atomic_numbers, rows, strict=True):
                file.write(" ".join([chemical_symbols[number], *map(str, row)]) + "\n")
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PretrainConfig:
    """Two heads from two files; the run is finished."""
    folder = tmp_path_factory.mktemp("pretrain")
    own = {name: _write(folder / f"{name}.extxyz", i) for i, name in enumerate(("one", "two"))}
    made = PretrainConfig(
        output=folder / "run",
        heads=("one", "two"),
        architecture=SMALL,
        batch=LIMITS,
        data=DataConfig(
            own_files=own, cache=folder / "cache", validation_fraction=0.2, test_fraction=0.2
        ),
        fit=FitConfig(duration=DurationConfig(max_steps=8)),
    )
    pretrain(made)
    return made


def test_a_run_becomes_a_model_folder_with_errors_on_its_card(
    config: PretrainConfig, tmp_path: Path
) -> None:
    result = evaluate_run(config.output, "test")
    card = export(config.output, tmp_path / "model", TEXT, private=True)
    loaded = load_model(tmp_path / "model")
    validation = loaded.card.head("two").validation
    assert validation is not None
    assert validation.joint == result.model["two"]
    assert validation.references_only == result.references_only["two"]
    assert sum(card.head("one").n_structures.values()) == 60
    references = loaded.model.head("two").references - loaded.model.head("one").references
    assert references[[1, 6, 8]].mean().item() == pytest.approx(1.0, abs=0.3)  # the shift


def test_labels_and_predictions_of_a_run_are_shipped_with_the_model(
    config: PretrainConfig, tmp_path: Path
) -> None:
    found, file, folder = parity_of_run(config.output, "test"), tmp_path / "p", tmp_path / "model"
    save_parity(found, file)
    card = export(config.output, folder, TEXT, private=True, parity=file)
    assert parity_of(folder, load_model(folder).card) == found
    assert card.parity_sha256 is not None


def test_data_that_may_not_be_passed_on_is_not_exported_by_accident(
    config: PretrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="one, two may not be passed on"):
        export(config.output, tmp_path / "model", TEXT)


def test_a_folder_with_a_run_is_not_overwritten(config: PretrainConfig) -> None:
    with pytest.raises(ConfigError, match="add --resume"):
        pretrain(config)


def test_a_longer_run_resumes(config: PretrainConfig) -> None:
    longer = replace(config, fit=replace(config.fit, duration=DurationConfig(max_steps=10)))
    assert pretrain(longer, resume=True).steps == 10


def test_a_head_trained_alone_sees_as_many_of_its_samples(config: PretrainConfig) -> None:
    alone = alone_config(config.output, "two", structures_per_batch=4)
    result = pretrain(alone)
    budget = alone.fit.duration.max_samples
    assert budget is not None
    assert budget <= result.samples_seen["two"] < budget + 4


def test_starting_from_a_run_keeps_its_heads_and_adds_new_ones(config: PretrainConfig) -> None:
    old = load_average(config.output)
    model, fresh = start_model(replace(config, start_from=config.output, heads=("new", "two")))
    assert fresh == ("new",)
    assert model.head_names == ("new", "two")
    assert torch.equal(model.head("two").references, old.head("two").references)
    assert torch.equal(model.backbone.embedding.weight, old.backbone.embedding.weight)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("**/*.yaml")), ids=lambda path: path.name)
def test_the_configurations_of_the_project_can_be_read(path: Path) -> None:
    kinds = {"pretrain": PretrainConfig, "cards": CardText, "hpo": CampaignConfig}
    loaded = load_config(kinds[path.relative_to(CONFIGS).parts[0]], path)
    run = loaded.trial if isinstance(loaded, CampaignConfig) else loaded
    if isinstance(run, PretrainConfig):
        assert set(run.heads) <= set(DATASETS)
