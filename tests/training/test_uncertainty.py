"""Uncertainties from a run's data: covariance, scale, report, the model folder."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import training.uncertainty
from atomfm_calc.config import dump_config
from atomfm_calc.models.derivatives import predict
from atomfm_calc.registry.catalog import load_model
from tests.made.models import head_info, make_model_folder
from tests.training.made import labeled, write_own_file
from training.__main__ import app
from training.assemble import assemble
from training.config import BatchLimits, DataConfig, DurationConfig, FitConfig, PretrainConfig
from training.data.loader import FixedLoader
from training.uncertainty import (
    REGULARIZATIONS,
    Measured,
    calibration_of,
    fit_head,
    measure_split,
    miscalibration_area,
    rank_correlation,
)

LIMITS = BatchLimits(max_atoms=20, max_edges=200, max_structures=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    heads = {"first": head_info(("H", "C", "O")), "other": head_info(("O",))}
    return make_model_folder(tmp_path_factory.mktemp("rigid") / "tiny", heads)


@pytest.fixture(scope="module")
def config(model: Path) -> PretrainConfig:
    rows = [labeled(2 + row % 4, row) for row in range(40)]
    data = DataConfig(
        own_files={"first": write_own_file(model.parent / "first.extxyz", rows)},
        cache=model.parent / "cache",
        validation_fraction=0.3,
        test_fraction=0.3,
    )
    fit = FitConfig(duration=DurationConfig(max_steps=1))
    return PretrainConfig(
        output=model.parent / "run", heads=("first",), data=data, batch=LIMITS, fit=fit
    )


def linear_world(n_structures: int, seed: int) -> Measured:
    """Errors of the normal distribution that a covariance of one predicts with alpha = 0.3 eV."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n_structures, 4, generator=generator, dtype=torch.float64)
    noise = torch.randn(n_structures, generator=generator, dtype=torch.float64)
    return Measured(features, 0.3 * torch.linalg.vector_norm(features, dim=1) * noise)


def test_features_are_those_that_make_the_energy(model: Path, config: PretrainConfig) -> None:
    net = load_model(model).model
    data = assemble(config.heads, config.data, net.cutoff)
    found = measure_split(net, "first", data, "train", LIMITS)
    head = net.head("first")
    last = head.network[-1]
    per_atom = head.scale * (
        found.features @ torch.cat([last.weight[0], last.bias]).to(torch.float64)
    )
    rows = []
    for batch in FixedLoader(data.assembler, data.splits["first"]["train"], LIMITS):
        energy = predict(net.energy_of("first"), batch.graph, ["energy"]).energy
        constant = torch.stack(
            [
                part.sum()
                for part in (
                    head.references[batch.graph.atomic_numbers]
                    + net.repulsion_energies(batch.graph)
                ).split(batch.graph.n_atoms.tolist())
            ]
        )
        rows.append((energy - constant) / batch.graph.n_atoms)
    torch.testing.assert_close(per_atom, torch.cat(rows), atol=1e-6, rtol=0.0)


def test_the_scale_of_normal_errors_is_found() -> None:
    head = fit_head(torch.eye(4, dtype=torch.float64), 100, linear_world(4000, 0))
    # with C = 1 every regularization r only divides alpha² by 1 + r: the smallest is taken
    assert head.regularization == REGULARIZATIONS[-1]
    assert head.scale == pytest.approx(0.3, rel=0.03)  # 1 / sqrt(2 x 4000) = 1.1 %
    tested = calibration_of(head, linear_world(4000, 1), "test")
    assert tested is not None
    assert tested.miscalibration_area < 0.01
    assert tested.rms_uncertainty_meV_per_atom == pytest.approx(
        tested.rms_error_meV_per_atom, rel=0.05
    )
    assert tested.rank_correlation is not None
    assert tested.rank_correlation > 0.2


def test_95_percent_of_held_out_structures_are_usual() -> None:
    held_out = linear_world(1000, 2)
    head = fit_head(torch.eye(4, dtype=torch.float64), 100, held_out)
    assert float((head.sigma(held_out.features) <= head.usual).double().mean()) == 0.95


def test_a_direction_that_training_never_saw_is_uncertain() -> None:
    features = linear_world(500, 3).features * torch.tensor([1.0, 1.0, 1.0, 0.0])
    held_out = linear_world(200, 4)._replace(features=features[:200])
    head = fit_head(features.T @ features / 500, 500, held_out)
    axes = head.sigma(torch.eye(4, dtype=torch.float64))
    assert axes[3] > 100.0 * axes[:3].max()


def test_areas_and_ranks_have_their_known_values() -> None:
    # nothing is ever inside: the mean of p; everything always is: the mean of 1 - p
    assert miscalibration_area(torch.full((5,), 1e9)) == pytest.approx(0.5)
    assert miscalibration_area(torch.zeros(5)) == pytest.approx(0.5)
    quantiles = math.sqrt(2.0) * torch.erfinv((torch.arange(2000) + 0.5) / 2000)
    assert miscalibration_area(quantiles.double()) < 1e-3
    rising = torch.arange(5.0)
    assert rank_correlation(rising, rising.exp()) == pytest.approx(1.0)
    assert rank_correlation(rising, -rising) == pytest.approx(-1.0)


def test_the_command_writes_a_model_that_knows_its_errors(
    model: Path, config: PretrainConfig
) -> None:
    path, out = model.parent / "config.yaml", model.parent / "known"
    dump_config(config, path)
    command = ["uncertainty", str(model), "--data", str(path), "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "miscalibration" in result.output
    loaded = load_model(out)
    assert set(loaded.uncertainties) == {"first"}  # the run has no data of the other head
    known = loaded.uncertainties["first"]
    assert known.covariance.shape == (9, 9)
    assert known.n_calibration >= 2
    assert loaded.card.heads["first"].uncertainty is not None
    assert "covariance of last-layer features" in loaded.card.measured["uncertainties"]
    assert not (out / "uncertainty-parts").exists()
    assert load_model(model).uncertainties == {}


def test_a_stopped_command_goes_on_where_it_was(
    model: Path, config: PretrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = model.parent / "config.yaml", model.parent / "stopped"
    dump_config(config, path)

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.uncertainty, "copy_model", stop)
        with pytest.raises(KeyboardInterrupt):
            training.uncertainty.make_uncertainties(str(model), path, out)
    assert (out / "uncertainty-parts" / "first.safetensors").is_file()
    monkeypatch.setattr(training.uncertainty, "covariance_of", stop)  # not measured again
    training.uncertainty.make_uncertainties(str(model), path, out)
    assert set(load_model(out).uncertainties) == {"first"}
