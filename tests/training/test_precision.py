"""Precisions: what each computes in, and the table that compares them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.training.made import SMALL, packed, samples, small_model, write_own_file
from training.config import BatchLimits, DataConfig, DurationConfig, FitConfig, PretrainConfig
from training.data.loader import Batch
from training.engine.losses import wanted
from training.engine.metrics import move, predict_batch
from training.engine.precision import PRECISIONS, set_precision
from training.precision_table import precision_table
from training.pretrain import pretrain

CPU = torch.device("cpu")


def _batch() -> Batch:
    graph, targets = packed(12).join()
    head = torch.arange(12) % 2
    return Batch(graph=graph, targets=targets, head=head, sources=("made",) * 12)


@pytest.mark.parametrize("name", PRECISIONS)
def test_weights_and_positions_have_the_precision_and_energies_are_float64(name: str) -> None:
    model, precision = small_model(), PRECISIONS[name]
    set_precision(model, precision)
    batch = move(_batch(), CPU, precision.weights)
    prediction = predict_batch(model, batch, wanted(batch), differentiable=False)
    assert model.dtype == batch.graph.positions.dtype == precision.weights
    assert model.head("first").references.dtype == torch.float64
    assert prediction.energy.dtype == torch.float64
    assert prediction.forces is not None
    assert prediction.forces.dtype == precision.weights


def test_bf16_differs_from_fp32_only_where_dense_layers_do() -> None:
    forces = {}
    for name in PRECISIONS:
        model = small_model()
        set_precision(model, PRECISIONS[name])
        batch = move(_batch(), CPU, PRECISIONS[name].weights)
        found = predict_batch(model, batch, ("energy", "forces"), differentiable=False).forces
        assert found is not None
        forces[name] = found.double()
    scale = forces["fp64"].abs().max()
    # float32 has 24 bits and bfloat16 8: relative rounding 6e-8 and 4e-3, over some tens of sums
    assert (forces["fp32"] - forces["fp64"]).abs().max() < 1e-5 * scale
    assert 1e-6 * scale < (forces["bf16"] - forces["fp64"]).abs().max() < 5e-2 * scale


def test_recomputed_blocks_give_the_same_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        model = small_model()
        model.set_recompute(recompute)
        batch = move(_batch(), CPU)
        forces = predict_batch(model, batch, ("energy", "forces"), differentiable=True).forces
        assert forces is not None
        (forces**2).sum().backward()
        gradients.append([p.grad for p in model.backbone.parameters() if p.grad is not None])
    assert len(gradients[0]) > 10
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


@pytest.mark.slow
def test_the_precision_table_compares_all_with_float64(tmp_path: Path) -> None:
    run = PretrainConfig(
        output=tmp_path / "run",
        heads=("one",),
        architecture=SMALL,
        batch=BatchLimits(max_atoms=20, max_edges=600, max_structures=6),
        data=DataConfig(
            own_files={"one": write_own_file(tmp_path / "one.extxyz", samples(24))},
            cache=tmp_path / "cache",
            validation_fraction=0.3,
        ),
        fit=FitConfig(duration=DurationConfig(max_steps=2)),
    )
    pretrain(run)
    rows = precision_table(run.output, n_steps=4, limit=8)
    assert list(rows) == list(PRECISIONS)
    assert rows["fp64"].forces_largest_meV_per_angstrom == 0.0
    largest = {name: row.forces_largest_meV_per_angstrom for name, row in rows.items()}
    assert 0.0 < largest["fp32"] < largest["bf16"]
    assert max(row.largest_loss_deviation for row in rows.values()) < 1e-3
    content = json.loads((run.output / "precision.json").read_text(encoding="utf-8"))
    assert len(content["rows"]["bf16"]["losses"]) == 4
    assert "--precision-table" in (run.output / "precision.md").read_text(encoding="utf-8")
    assert not (run.output / "precision").exists()
