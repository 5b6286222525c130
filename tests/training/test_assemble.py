"""Data is divided as its source says, and by the dataset's rule where it says nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.made.public_files import MINIATURES
from tests.training.made import samples, write_own_file
from training.assemble import SPLITS, assemble
from training.config import DataConfig
from training.datasets import DATASETS


@pytest.mark.parametrize("name", ["oc20", "omat24", "omol25"])
def test_published_splits_are_kept_in_memory(name: str, tmp_path: Path) -> None:
    root = MINIATURES[name](tmp_path / "files")
    said = [DATASETS[name].published_split(path) for path in DATASETS[name].files(root)]
    assert {"train", "validation"} <= set(said)
    data = assemble((name,), DataConfig(root=root, cache=tmp_path / "cache"), cutoff=3.0)
    source = data.assembler.source
    for split in SPLITS:
        columns = source.decode(source.fetch(data.splits[name][split])).columns
        assert {said[file] for file in columns["file"].tolist()} <= {split}
    assert sum(len(index) for index in data.splits[name].values()) == len(source)


def test_a_head_without_validation_structures_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_own_file(tmp_path / "one.extxyz", samples(4))
    config = DataConfig(own_files={"one": path}, cache=tmp_path, validation_fraction=0.0)
    data = assemble(("one",), config, cutoff=3.0)
    assert len(data.splits["one"]["validation"]) == 0
    assert "one has no validation structures" in caplog.text


def test_every_structure_is_in_one_split(tmp_path: Path) -> None:
    path = write_own_file(tmp_path / "one.extxyz", samples(60))
    config = DataConfig(own_files={"one": path}, cache=tmp_path / "cache", test_fraction=0.3)
    splits = assemble(("one",), config, cutoff=3.0).splits["one"]
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(60))
    assert len(splits["test"]) > 0
