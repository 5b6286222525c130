"""What can be wrong with a run ends it with a clear error, and nothing is lost."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.config import load_config
from atomfm_calc.errors import ConfigError, DataError, TrainingError
from tests.training.made import LIMITS, SMALL, samples, small_trainer, write_own_file
from training.config import (
    DataConfig,
    DurationConfig,
    FitConfig,
    MixingConfig,
    ParallelConfig,
    PretrainConfig,
)
from training.engine import checkpoint
from training.engine.checkpoint import BEST_FILE, CHECKPOINT_FILE, load_checkpoint
from training.pretrain import pretrain


def _config(folder: Path, **changes: object) -> PretrainConfig:
    own = {name: write_own_file(folder / f"{name}.extxyz", samples(12)) for name in ("one", "two")}
    made = PretrainConfig(
        output=folder / "run",
        heads=("one", "two"),
        architecture=SMALL,
        batch=replace(LIMITS, max_edges=600),
        data=DataConfig(own_files=own, cache=folder / "cache"),
        fit=FitConfig(duration=DurationConfig(max_steps=2)),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_an_unknown_key_is_named_with_file_and_section(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("output: run\nheads: [one]\nfit: {duration: {max_stepz: 2}}\n")
    with pytest.raises(ConfigError, match=r"run\.yaml.*fit\.duration\.max_stepz.*max_steps"):
        load_config(PretrainConfig, path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    config = _config(tmp_path)
    (tmp_path / "two.extxyz").unlink()
    with pytest.raises(DataError, match=r"two\.extxyz"):
        pretrain(config)


def test_a_head_without_structures_is_named(tmp_path: Path) -> None:
    config = _config(tmp_path)
    broken = [
        replace(sample, targets={"forces": np.zeros((sample.n_atoms, 3))}) for sample in samples(4)
    ]
    write_own_file(tmp_path / "two.extxyz", broken)
    with pytest.raises(DataError, match="head 'two' has no training structures"):
        pretrain(config)


def test_shards_that_were_not_made_are_named_with_the_command(tmp_path: Path) -> None:
    data = DataConfig(shards=tmp_path / "shards")
    with pytest.raises(DataError, match=r"no finished shards of head 'one'.*training convert"):
        pretrain(_config(tmp_path, data=data))


def test_more_head_groups_than_batches_is_an_error(tmp_path: Path) -> None:
    parallel = ParallelConfig(batches_per_step=1, head_groups=(("one",), ("two",)))
    with pytest.raises(ConfigError, match="2 head groups need as many batches per step"):
        pretrain(_config(tmp_path, parallel=parallel))


def test_a_cap_on_passes_needs_a_number_of_samples(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set fit\.duration\.max_samples"):
        pretrain(_config(tmp_path, mixing=MixingConfig(max_passes=2.0)))


def test_a_label_that_is_not_a_number_is_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = _config(tmp_path)
    text = (tmp_path / "one.extxyz").read_text(encoding="utf-8").splitlines(keepends=True)
    place = next(i for i, line in enumerate(text) if "REF_energy=" in line)
    text[place] = text[place].replace("REF_energy=", "REF_energy=nan other=")
    (tmp_path / "one.extxyz").write_text("".join(text), encoding="utf-8")
    with caplog.at_level("INFO"):
        pretrain(config)
    assert "one: 11 structures" in caplog.text
    assert "one.extxyz#0: energy is not finite" in caplog.text


def test_a_full_disk_leaves_the_checkpoint_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = small_trainer(tmp_path)
    trainer.fit(stop_after_steps=2)

    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half of a")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TrainingError, match="No space left.*make room and resume"):
        trainer.fit(stop_after_steps=1)
    assert load_checkpoint(tmp_path).state["step"] == 2
    assert not list(tmp_path.glob("*.partial"))


def test_the_latest_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    trainer = small_trainer(tmp_path)
    trainer.config = replace(trainer.config, checkpoint_every_steps=1, validate_every_steps=4)
    trainer.fit()
    kept = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    latest = ["checkpoint-000000011.safetensors", "checkpoint-000000012.safetensors"]
    assert kept == [BEST_FILE, *latest, CHECKPOINT_FILE]
    assert load_checkpoint(tmp_path).state["step"] == 12
    assert load_checkpoint(tmp_path / BEST_FILE).state["step"] in (4, 8, 12)
