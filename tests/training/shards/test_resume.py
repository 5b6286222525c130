"""A conversion that was stopped, wherever it was, goes on and loses or doubles nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atomfm_calc.errors import DataError
from tests.training.shards.conftest import Enter
from tests.training.shards.made import MadeDataset, content, converted, order, write_files
from training.shards import chunk, writer
from training.shards.convert import Order, convert
from training.shards.layout import ConvertSettings

REFERENCE = Path(__file__).parents[3] / "training" / "collection" / "reference"


def test_a_killed_conversion_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    settings = ConvertSettings(structures_per_shard=4)
    whole, killed = (
        Order(dataset="pbe0-svp", root=REFERENCE, out=tmp_path / name, settings=settings)
        for name in ("whole", "killed")
    )
    arguments = ["--root", REFERENCE, "--out", killed.out, "--structures-per-shard", "4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "convert", "pbe0-svp", *map(str, arguments)],
        cwd=REFERENCE.parents[2],
        stderr=subprocess.DEVNULL,
    )
    finished = "shard-0000[3-9].json"
    while not list(killed.folder.glob(finished)) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(list(killed.folder.glob("shard-*.json"))) < convert(whole).size // 4
    convert(killed)
    assert content(killed.folder) == content(whole.folder)


def test_whatever_a_stopped_conversion_left_half_done_is_made_anew(tmp_path: Path) -> None:
    converted(tmp_path)
    folder = tmp_path / "out" / "made"
    expected = content(folder)
    (folder / "shard-00001.json").unlink()  # stopped between shard and sidecar
    (folder / "shard-00002.json").unlink()  # stopped while the shard was written
    (folder / "shard-00002.bp" / "md.idx").unlink()
    (folder / "shard-00002.bp").rename(folder / "shard-00002.bp.partial")
    shutil.rmtree(folder / "shard-00003.bp")  # stopped before it
    (folder / "shard-00003.json").unlink()
    (folder / "index.json").unlink()
    converted(tmp_path)
    assert content(folder) == expected


def test_finished_shards_are_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted(tmp_path)
    monkeypatch.setattr(chunk, "write_shard", None)  # calling it would fail
    converted(tmp_path)


def test_a_full_disk_is_an_error_that_names_the_shard_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = writer._write
    done: list[Path] = []

    def write_two(folder: Path, *others: object) -> None:
        write(folder, *others)  # type: ignore[arg-type]
        done.append(folder)
        if len(done) == 3:
            raise RuntimeError("errno = 28: No space left on device")

    monkeypatch.setattr(writer, "_write", write_two)
    with pytest.raises(DataError, match=r"shard-00002\.bp cannot be written.*No space left"):
        converted(tmp_path)
    folder = tmp_path / "out" / "made"
    names = {path.name for path in folder.iterdir()}
    assert names == {"plan.json"} | {
        f"shard-0000{i}.{end}" for i in (0, 1) for end in ("bp", "json")
    }
    monkeypatch.undo()


def test_a_shard_larger_than_the_free_space_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"shard-00000.*the disk has 1000 left; make room"):
        converted(tmp_path)


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    converted(tmp_path)
    with pytest.raises(DataError, match=r"begun with split_seed 0, now 5; choose another --out"):
        converted(tmp_path, split_seed=5)


def test_other_data_files_are_refused_and_named(tmp_path: Path) -> None:
    converted(tmp_path)
    (tmp_path / "data" / "b.made").write_text("016")
    with pytest.raises(DataError, match=r"other data files.*different: b\.made;"):
        convert(order(tmp_path / "data", tmp_path / "out"))


def test_missing_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \*\.made"):
        convert(order(write_files(tmp_path / "data"), tmp_path / "out"))


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match=r"out/made cannot be made: .*choose another --out"):
        converted(tmp_path)


def test_a_damaged_data_file_is_named_with_its_record(tmp_path: Path) -> None:
    path = tmp_path / "own.extxyz"
    frame = '1\nProperties=species:S:1:pos:R:3 REF_energy=1.0 pbc="F F F"\nH 0 0 0\n'
    path.write_text(frame * 3 + frame.replace("H 0 0 0", "H 0 zero 0"))
    with pytest.raises(DataError, match=r"own\.extxyz#3"):
        convert(Order(dataset="extxyz", root=path, out=tmp_path / "out", head="mine"))


def test_a_head_without_training_structures_is_an_error(tmp_path: Path, enter: Enter) -> None:
    enter(MadeDataset(splits={"a.made": "test", "b.made": "test"}))
    with pytest.raises(DataError, match="head 'made' has no training structures"):
        converted(tmp_path)


def test_settings_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(ValueError, match="leave nothing to train on"):
        ConvertSettings(validation_fraction=0.5, test_fraction=0.5)
