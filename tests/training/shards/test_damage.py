"""Shards that are not what was written: missing, cut off, changed, exchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from atomfm_calc.errors import DataError
from tests.training.made import CUTOFF
from tests.training.shards.made import converted, order, write_files
from training.shards.commands import shards
from training.shards.convert import convert
from training.shards.reader import ShardSource

EVERYTHING = np.arange(26)


def _changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_cut_off_shard_is_named_at_once(tmp_path: Path) -> None:
    converted(tmp_path)
    path = tmp_path / "out/made/shard-00003.bp/data.0"
    path.write_bytes(path.read_bytes()[:100])
    for verify in ("sizes", "checksums"):
        with pytest.raises(DataError, match=r"shard-00003 is damaged: .*data\.0 has 100 bytes"):
            ShardSource(tmp_path / "out/made", CUTOFF, verify=verify)
    source = ShardSource(tmp_path / "out/made", CUTOFF, verify="opened")
    with pytest.raises(DataError, match="shard-00003 is damaged"):
        source.fetch(EVERYTHING)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    converted(tmp_path)
    folder = tmp_path / "out/made"
    (folder / "shard-00001.bp").rename(folder / "elsewhere")
    with pytest.raises(DataError, match=r"shard-00001 lacks .*bring it back"):
        ShardSource(folder, CUTOFF)


@pytest.mark.parametrize("name", ["data.0", "md.0", "mmd.0", "md.idx"])
def test_a_changed_bit_is_found_by_its_checksum(tmp_path: Path, name: str) -> None:
    converted(tmp_path)
    _changed(tmp_path / "out/made/shard-00002.bp" / name)
    with pytest.raises(DataError, match=rf"shard-00002 is damaged or another one: .*{name}"):
        ShardSource(tmp_path / "out/made", CUTOFF, verify="checksums")


def test_exchanged_shards_are_found_when_they_are_opened(tmp_path: Path) -> None:
    made = order(write_files(tmp_path / "data", a=7, b=7), tmp_path / "out")
    convert(made)
    first, second, aside = (made.folder / f"shard-0000{i}.bp" for i in (0, 1, 9))
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    source = ShardSource(made.folder, CUTOFF)  # they are of the same sizes
    with pytest.raises(DataError, match="holds made/shard-00001, not made/shard-00000: folders"):
        source.fetch(EVERYTHING[:14])
    with pytest.raises(DataError, match="shard-00000 is damaged or another one"):
        ShardSource(made.folder, CUTOFF, verify="checksums")


@pytest.mark.parametrize("name", ["sizes.npy", "index.json"])
def test_a_damaged_table_is_named(tmp_path: Path, name: str) -> None:
    converted(tmp_path)
    path = tmp_path / "out/made" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{name} is .*damaged.*start the same"):
        ShardSource(tmp_path / "out/made", CUTOFF)


def test_a_folder_without_an_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"index\.json cannot be read: .*training convert"):
        ShardSource(tmp_path, CUTOFF)


def test_another_format_is_refused(tmp_path: Path) -> None:
    converted(tmp_path)
    path = tmp_path / "out/made/index.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(DataError, match="has format 2, this version reads 1"):
        ShardSource(tmp_path / "out/made", CUTOFF)


def test_the_command_names_every_damaged_shard(tmp_path: Path) -> None:
    converted(tmp_path)
    folder = tmp_path / "out/made"
    assert CliRunner().invoke(shards, ["show", str(folder)]).exit_code == 0
    assert CliRunner().invoke(shards, ["verify", str(folder)]).exit_code == 0
    for number in (0, 4):
        _changed(folder / f"shard-0000{number}.bp/data.0")
    result = CliRunner().invoke(shards, ["verify", str(folder)])
    assert isinstance(result.exception, DataError)
    assert "shard-00000 is damaged" in str(result.exception)
    assert "shard-00004 is damaged" in str(result.exception)
