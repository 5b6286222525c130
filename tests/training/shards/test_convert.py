"""Files -> shards: every structure once, in the right split, the same however it was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.made.public_files import MINIATURES
from tests.training.made import labeled
from tests.training.shards.conftest import Enter
from tests.training.shards.made import (
    INFO,
    NOT_A_NUMBER,
    MadeDataset,
    charged,
    content,
    converted,
    order,
    write_files,
)
from training.datasets import DATASETS
from training.shards.convert import Order, convert, plan_shards
from training.shards.layout import ConvertSettings, FileRecord, SourceFile
from training.shards.reader import ShardSource


def _origins(source: ShardSource, split: str) -> set[str]:
    columns = source.decode(source.fetch(source.members(split))).columns
    return {
        f"{source.files[file]}#{frame}"
        for file, frame in zip(columns["file"].tolist(), columns["frame"].tolist(), strict=True)
    }


def test_every_record_stands_in_one_shard_once(tmp_path: Path) -> None:
    index = converted(tmp_path)
    source = ShardSource(tmp_path / "out/made", 3.0)
    assert [shard.size for shard in index.shards] == [7, 3, 7, 7, 2]
    found = [_origins(source, split) for split in ("train", "validation", "test")]
    expected = {f"a.made#{i}" for i in range(10)} | {f"b.made#{i}" for i in range(16)}
    assert set.union(*found) == expected
    assert sum(map(len, found)) == len(expected) == len(source)
    assert min(map(len, found)) > 0


def test_small_files_share_a_shard_and_large_ones_are_cut_at_whole_multiples() -> None:
    counts = (3, 4, 2, 15, 5)
    files = [
        SourceFile(name=str(i), n_records=n, content=FileRecord(size=n, sha256=""), split=None)
        for i, n in enumerate(counts)
    ]
    plan = plan_shards(order(Path("root"), Path("out")), files)
    parts = [[(part.file, part.start, part.stop) for part in shard] for shard in plan.shards]
    assert parts == [
        [(0, 0, 3), (1, 0, 4)],
        [(2, 0, 2)],
        [(3, 0, 7)],
        [(3, 7, 14)],
        [(3, 14, 15), (4, 0, 5)],
    ]


def test_successive_shards_read_a_file_once(tmp_path: Path, enter: Enter) -> None:
    dataset = MadeDataset()
    enter(dataset)
    converted(tmp_path)
    assert dataset.reads == ["a.made#0", "b.made#0"]
    folder = tmp_path / "out/made"
    expected = content(folder)
    for number in (1, 3):
        (folder / f"shard-0000{number}.json").unlink()
    converted(tmp_path)
    assert dataset.reads[2:] == ["a.made#7", "b.made#7"]
    assert content(folder) == expected


def test_records_of_another_dataset_shift_no_shard(tmp_path: Path, enter: Enter) -> None:
    passed_over = frozenset({5, 6, 7, 13, 15})  # across the ends of shards, and the last record
    enter(MadeDataset(passed_over=passed_over))
    converted(tmp_path)
    source = ShardSource(tmp_path / "out/made", 3.0)
    found = set.union(*(_origins(source, split) for split in source.split_ranges))
    numbers = {name: set(range(n)) - passed_over for name, n in (("a", 10), ("b", 16))}
    assert found == {f"{name}.made#{i}" for name, kept in numbers.items() for i in kept}
    assert [shard.size for shard in source.index.shards] == [5, 2, 5, 5, 1]


@pytest.mark.parametrize("name", MINIATURES)
def test_every_public_dataset_can_be_converted(tmp_path: Path, name: str) -> None:
    root = MINIATURES[name](tmp_path / "root")
    everything = []
    for size in (1, 100):
        settings = ConvertSettings(
            structures_per_shard=size, validation_fraction=0.0, test_fraction=0.0
        )
        made = Order(dataset=name, root=root, out=tmp_path / str(size), settings=settings)
        convert(made)
        source = ShardSource(made.folder, 5.0, verify="checksums")
        everything.append({split: _origins(source, split) for split in source.split_ranges})
    assert everything[0] == everything[1]
    dataset = DATASETS[name]
    n_samples = sum(1 for path in dataset.files(root) for _ in dataset.read(path))
    n_kept = sum(map(len, everything[0].values()))
    assert n_kept == n_samples - sum(source.index.refused.values()) > 0


def test_published_splits_are_kept(tmp_path: Path, enter: Enter) -> None:
    enter(MadeDataset(splits={"a.made": "test", "b.made": "train"}))
    index = converted(tmp_path)
    assert index.summary["n_structures"] == {"train": 16, "validation": 0, "test": 10}
    source = ShardSource(tmp_path / "out/made", 3.0)
    assert {name.partition("#")[0] for name in _origins(source, "test")} == {"a.made"}


def test_a_group_is_never_divided(tmp_path: Path, enter: Enter) -> None:
    enter(MadeDataset(info=replace(INFO, split="group"), groups=8))
    converted(tmp_path)
    source = ShardSource(tmp_path / "out/made", 3.0)
    groups = [
        {int(name.partition("#")[2]) % 8 for name in _origins(source, split)}
        for split in ("train", "validation", "test")
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 8


def test_a_composition_may_be_kept_in_training(tmp_path: Path, enter: Enter) -> None:
    oxide = {3: {"atomic_numbers": np.array([8, 8, 12, 12])}}
    enter(MadeDataset(info=replace(INFO, split="composition"), changes=oxide))
    root = write_files(tmp_path / "data", a=4)
    for seed in range(6):
        kept = order(root, tmp_path / str(seed), split_seed=seed, never_held_out=("OMg",))
        convert(kept)
        assert "a.made#3" in _origins(ShardSource(kept.folder, 3.0), "train")


def test_the_split_of_a_record_does_not_depend_on_other_files(tmp_path: Path) -> None:
    converted(tmp_path)
    alone = order(write_files(tmp_path / "alone", b=16), tmp_path / "second")
    convert(alone)
    both = _origins(ShardSource(tmp_path / "out/made", 3.0), "validation")
    one = _origins(ShardSource(alone.folder, 3.0), "validation")
    assert one == {name for name in both if name.startswith("b.made")}


def test_what_cannot_be_learned_is_counted_with_its_reason(tmp_path: Path, enter: Enter) -> None:
    fast = labeled(2, 1)
    pulled = {**fast.targets, "forces": np.full((2, 3), 40.0)}
    changes = {
        0: NOT_A_NUMBER,
        1: {"targets": {}},
        2: {**vars(fast), "targets": pulled},
        3: charged(-1),
    }
    enter(MadeDataset(info=replace(INFO, uses_charge=False), changes=changes))
    made = order(write_files(tmp_path / "data", a=9), tmp_path / "out")
    index = convert(made)
    assert index.refused == {
        "charged, which this head does not learn": 1,
        "energy is not finite": 1,
        "force above 50.0": 1,  # 40 * sqrt(3) = 69
        "no energy": 1,
    }
    assert index.size == 5


def test_ions_are_kept_where_the_head_learns_charges(tmp_path: Path, enter: Enter) -> None:
    enter(MadeDataset(changes={1: charged(-1)}))
    index = converted(tmp_path)
    source = ShardSource(tmp_path / "out/made", 3.0)
    graphs = source.decode(source.fetch(np.arange(len(source))))
    assert index.size == 26
    assert sorted(graphs.columns["charge"].tolist())[:3] == [-1.0, -1.0, 0.0]
    assert sorted(graphs.columns["multiplicity"].tolist())[-2:] == [2.0, 2.0]


def test_two_processes_write_the_bytes_of_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[3] / "training" / "collection" / "reference"
    settings = ConvertSettings(structures_per_shard=100)
    for name, workers in (("one", 1), ("two", 2)):
        out = tmp_path / name
        convert(Order(dataset="pbe-svp", root=root, out=out, settings=settings, workers=workers))
    assert content(tmp_path / "one") == content(tmp_path / "two")
