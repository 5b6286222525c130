"""Packed graphs give the same batches as graphs joined one by one."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from atomfm_calc.errors import DataError
from atomfm_calc.graph import collate
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample
from tests.training.made import CUTOFF, packed, samples
from training.data.packed import PackedGraphs, concatenate
from training.data.prepared import data_file, prepare_file


def test_a_batch_equals_the_graphs_joined_one_by_one() -> None:
    made, index = samples(8), np.array([6, 0, 3, 5])
    graph, targets = packed(8).take(index)
    expected = collate([graph_from_sample(made[i], CUTOFF, torch.float32) for i in index])
    for name, field, wanted in zip(graph._fields, graph, expected, strict=True):
        assert torch.equal(field, wanted), name
    assert targets["energy"].tolist() == [float(made[i].targets["energy"]) for i in index]


def test_labels_that_are_absent_are_not_numbers() -> None:
    graph, targets = packed(8).take(np.array([0, 1]))
    crystal, cluster = graph.n_atoms.tolist()
    assert (
        torch.isnan(targets["forces"]).all(dim=1).tolist() == [True] * crystal + [False] * cluster
    )
    assert torch.isnan(targets["stress"]).reshape(2, 9).all(dim=1).tolist() == [False, True]


def test_selecting_and_joining_keep_every_structure() -> None:
    whole = packed(8)
    halves = concatenate([whole.select(np.arange(3)), whole.select(np.arange(3, 8))])
    for name, column in whole.columns.items():
        assert torch.equal(column.nan_to_num(), halves.columns[name].nan_to_num()), name


def test_the_largest_force_is_found_per_structure() -> None:
    made, graphs = samples(6), packed(6)
    for sample, found in zip(made, graphs.largest_force(), strict=True):
        forces = sample.targets.get("forces", np.zeros((1, 3)))
        assert found == pytest.approx(np.linalg.norm(forces, axis=1).max(), rel=1e-6)


def test_a_prepared_file_is_read_once_and_comes_back_equal(tmp_path: Path) -> None:
    path, calls = tmp_path / "data.extxyz", []
    path.write_text("content")

    def read(file: Path) -> list[Sample]:
        calls.append(file)
        return samples(5)

    first = prepare_file(data_file(path), read, CUTOFF, tmp_path / "cache").graphs
    second = prepare_file(data_file(path), read, CUTOFF, tmp_path / "cache").graphs
    assert len(calls) == 1
    assert _equal(first, second)
    path.write_text("other content")
    prepare_file(data_file(path), read, CUTOFF, tmp_path / "cache")
    assert len(calls) == 2


def test_a_recorded_file_is_needed_only_if_the_cache_does_not_have_it(tmp_path: Path) -> None:
    path = tmp_path / "data.extxyz"
    path.write_text("content")
    recorded = data_file(path)
    prepare_file(recorded, lambda _: samples(5), CUTOFF, tmp_path / "cache")
    path.unlink()
    found = prepare_file(recorded, lambda _: [], CUTOFF, tmp_path / "cache")
    assert len(found.graphs) == 5
    with pytest.raises(DataError, match=r"data\.extxyz is gone or was changed"):
        prepare_file(recorded, lambda _: [], CUTOFF, None)


def test_a_sample_that_cannot_be_right_is_counted_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "data.extxyz"
    path.touch()
    bad = Sample(atomic_numbers=np.array([1]), positions=np.zeros((2, 3)), source="bad#7")
    with caplog.at_level(logging.WARNING):
        prepared = prepare_file(data_file(path), lambda _: [*samples(2), bad], CUTOFF, None)
    assert len(prepared.graphs) == 2
    assert prepared.refused == {"positions have shape (2, 3), not (1, 3)": 1}
    assert "bad#7" in caplog.text


def _equal(first: PackedGraphs, second: PackedGraphs) -> bool:
    return all(
        torch.equal(column.nan_to_num(), second.columns[name].nan_to_num())
        for name, column in first.columns.items()
    )
