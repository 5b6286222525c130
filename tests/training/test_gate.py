"""A gate from held-out errors: the target, the fit, the report, the model folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from atomfm_calc.config import dump_config
from atomfm_calc.models.derivatives import predict
from atomfm_calc.registry.catalog import load_model
from tests.made.models import head_info, make_model_folder
from tests.training.made import labeled, write_own_file
from training.__main__ import app
from training.assemble import assemble
from training.config import BatchLimits, DataConfig, DurationConfig, FitConfig, PretrainConfig
from training.data.loader import FixedLoader
from training.gate import GateConfig, MeasuredErrors, fit_gate, measure_errors, report

HEADS = ("first", "second", "oxides")
LIMITS = BatchLimits(max_atoms=20, max_edges=200, max_structures=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    organic = head_info(("H", "C", "O"), periodicity=("molecule",))
    heads = {"first": organic, "second": organic, "oxides": head_info(("O",))}
    return make_model_folder(tmp_path_factory.mktemp("gate") / "tiny", heads)


@pytest.fixture(scope="module")
def config(model: Path) -> PretrainConfig:
    own = {}
    for number, head in enumerate(HEADS[:2]):
        rows = [labeled(2 + row % 4, 100 * number + row) for row in range(24)]
        own[head] = write_own_file(model.parent / f"{head}.extxyz", rows)
    data = DataConfig(
        own_files=own,
        cache=model.parent / "cache",
        validation_fraction=0.3,
        test_fraction=0.3,
    )
    fit = FitConfig(duration=DurationConfig(max_steps=1))
    return PretrainConfig(
        output=model.parent / "run", heads=HEADS[:2], data=data, batch=LIMITS, fit=fit
    )


def made_errors(n_structures: int = 40) -> MeasuredErrors:
    """Two heads, one exact (to a tenth) for hydrogen, the other for oxygen."""
    counts = torch.zeros(n_structures, 118, dtype=torch.float64)
    is_oxygen = torch.arange(n_structures) % 2 == 1
    counts[torch.arange(n_structures), torch.where(is_oxygen, 7, 0)] = 3.0
    errors = torch.where(is_oxygen[:, None], torch.tensor([1.0, 0.1]), torch.tensor([0.1, 1.0]))
    products = torch.diag_embed(errors.double() ** 2)
    allowed = torch.ones(n_structures, 2, dtype=torch.bool)
    return MeasuredErrors(counts, allowed, products, is_oxygen.to(torch.int64))


def test_errors_of_mixtures_follow_from_the_measured_products(
    model: Path, config: PretrainConfig
) -> None:
    loaded = load_model(model)
    data = assemble(config.heads, config.data, loaded.model.cutoff)
    measured = measure_errors(loaded, data, "validation", LIMITS)
    weights = torch.tensor([0.3, 0.7, 0.0], dtype=torch.float64)
    batches = FixedLoader(data.assembler, data.splits["first"]["validation"], LIMITS)
    expected = []
    for batch in batches:
        mixed = predict(loaded.model.energy_of_mixture(weights[None]), batch.graph, ["forces"])
        squares = (mixed.forces - batch.targets["forces"]).double().square().sum(dim=1)
        sums = (
            torch.zeros(batch.graph.n_structures).double().index_add(0, batch.graph.batch, squares)
        )
        expected.append((sums / batch.graph.n_atoms).sqrt())
    found = measured.select(measured.data_set == 0).rms(weights.expand(len(torch.cat(expected)), 3))
    torch.testing.assert_close(found, torch.cat(expected), atol=1e-5, rtol=1e-5)


def test_a_head_that_may_not_compute_a_structure_has_no_error(
    model: Path, config: PretrainConfig
) -> None:
    loaded = load_model(model)
    data = assemble(config.heads, config.data, loaded.model.cutoff)
    measured = measure_errors(loaded, data, "validation", LIMITS)
    only_oxygen = measured.counts[:, 7] == measured.counts.sum(dim=1)
    assert torch.equal(measured.allowed[:, 2], only_oxygen)
    assert bool((measured.products[~only_oxygen, 2] == 0.0).all())
    assert bool(measured.rms_of_heads()[~only_oxygen, 2].isinf().all())


def test_a_gate_finds_the_head_that_is_right_for_an_element() -> None:
    measured = made_errors()
    gate = fit_gate(measured, ("h", "o"), GateConfig(hidden=(4,), steps=300))
    weights = gate(measured.counts)
    # (1-w)² 1² + w² 0.1² is smallest for w = 1 / 1.01
    assert weights[0, 0].item() == pytest.approx(1 / 1.01, abs=0.02)
    assert weights[1, 1].item() == pytest.approx(1 / 1.01, abs=0.02)
    assert gate.reach == pytest.approx(1.0)  # nothing in common
    rows = report(gate, measured, "h")
    assert rows["o"]["default head"] == pytest.approx(1.0)
    assert rows["o"]["own head"] == pytest.approx(0.1)
    assert rows["o"]["mixture"] < 0.11
    assert rows["o"]["equal weights"] == pytest.approx((0.25 * 1.01) ** 0.5)


def test_the_same_errors_give_the_same_gate() -> None:
    config = GateConfig(hidden=(3,), steps=5)
    first, second = (fit_gate(made_errors(), ("h", "o"), config) for _ in range(2))
    torch.manual_seed(1)
    assert all(
        torch.equal(one, other)
        for one, other in zip(first.parameters(), second.parameters(), strict=True)
    )


def test_the_command_writes_a_model_with_a_gate(model: Path, config: PretrainConfig) -> None:
    path, out = model.parent / "config.yaml", model.parent / "mixed"
    dump_config(config, path)
    result = CliRunner().invoke(app, ["gate", str(model), "--data", str(path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "geometric mean over structures" in result.output
    loaded = load_model(out)
    assert loaded.gate is not None
    assert loaded.gate.heads == HEADS
    assert loaded.gate.knows_its_training_set
    assert "times that of the head" in loaded.card.measured["mixture, forces"]
    assert load_model(model).gate is None
