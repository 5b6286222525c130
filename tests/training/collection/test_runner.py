"""The collection's runner: shards, resuming, records, manifest, verification."""

from __future__ import annotations

import json
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import ConfigError, DataError, LabelError, UnknownNameError

pytest.importorskip("rdkit")
pytest.importorskip("tblite")
pytest.importorskip("threadpoolctl")

from training.collection.commands import DEFAULT_PLAN
from training.collection.engines import ENGINES
from training.collection.extxyz import read_shard, write_shard
from training.collection.generators import GENERATORS
from training.collection.plan import CollectionPlan, SetPlan, load_plan, shards_in_order
from training.collection.runner import ShardRecord, generate, label_shard, read_records, run, take
from training.collection.verify import verify_shard

DIMERS = SetPlan(
    name="dimers",
    head="gfn1-xtb",
    generator="dimer",
    engine="tblite",
    engine_options={"method": "GFN1-xTB"},
    count=5,
    shard_size=3,
    seed=1,
    seconds=0.01,
)
PLAN = CollectionPlan(sets=(DIMERS,))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("collection")
    run(PLAN, path, n_workers=1)
    return path


def test_a_run_labels_or_records_every_structure(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    n_failed = len((folder / "failures.jsonl").read_text().splitlines())
    assert manifest["labeled"] + n_failed == DIMERS.count
    assert set(manifest["shards"]) == {"dimers-0000.extxyz.gz", "dimers-0001.extxyz.gz"}
    assert {"numpy", "ase", "rdkit", "tblite"} <= set(manifest["versions"])


def test_a_second_run_leaves_finished_shards_alone(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.extxyz.gz")}
    run(PLAN, folder, n_workers=1)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*.extxyz.gz")}
    assert len(read_records(folder)) == 2


def test_a_run_may_be_limited_to_some_sets(tmp_path: Path) -> None:
    other = SetPlan(**{**vars(DIMERS), "name": "other", "count": 1})
    run(CollectionPlan(sets=(DIMERS, other)), tmp_path, n_workers=1, only=["other"])
    assert set(read_records(tmp_path)) == {"other-0000.extxyz.gz"}


def test_a_set_that_the_plan_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="the plan has: dimers"):
        run(PLAN, tmp_path, n_workers=1, only=["trimers"])


def test_a_set_with_fewer_decimals_is_verified_as_well(tmp_path: Path) -> None:
    short = SetPlan(**{**vars(DIMERS), "position_decimals": 3, "force_decimals": 2})
    plan = CollectionPlan(sets=(short,))
    run(plan, tmp_path, n_workers=1)
    stored = read_shard(tmp_path / "dimers" / "dimers-0000.extxyz.gz")[0]
    for values, decimals in ((stored.positions, 3), (stored.targets["forces"], 2)):
        assert np.array_equal(values, np.round(values, decimals))
    assert verify_shard(plan, tmp_path, "dimers-0000.extxyz.gz", 2).is_same


def test_a_record_without_its_file_does_not_count(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "shards.jsonl").write_text((folder / "shards.jsonl").read_text())
    assert read_records(tmp_path) == {}


def test_a_shard_is_regenerated_bit_by_bit(folder: Path) -> None:
    report = verify_shard(PLAN, folder, "dimers-0000.extxyz.gz", 2)
    assert report.is_same
    assert report.largest_difference < 1e-6


def test_a_changed_structure_is_found(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "dimers").mkdir()
    (tmp_path / "shards.jsonl").write_text((folder / "shards.jsonl").read_text())
    shard = read_shard(folder / "dimers" / "dimers-0000.extxyz.gz")
    shard[0].positions[0, 0] += 1e-8
    write_shard(tmp_path / "dimers" / "dimers-0000.extxyz.gz", shard)
    report = verify_shard(PLAN, tmp_path, "dimers-0000.extxyz.gz", 0)
    assert not report.file_is_unchanged
    assert report.changed == (shard[0].source,)


def test_a_shard_that_the_plan_lacks_is_refused(folder: Path) -> None:
    with pytest.raises(UnknownNameError, match="the plan has: dimers-0000"):
        verify_shard(PLAN, folder, "dimers-0009.extxyz.gz", 1)


def test_a_shard_that_is_not_made_yet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished shard 'dimers-0000"):
        verify_shard(PLAN, tmp_path, "dimers-0000.extxyz.gz", 1)


def test_a_killed_worker_ends_the_run_with_advice(tmp_path: Path) -> None:
    future: Future[ShardRecord] = Future()
    future.set_exception(BrokenProcessPool("killed"))
    with pytest.raises(LabelError, match="run the same command again"):
        take(future, shards_in_order(PLAN)[0], tmp_path, PLAN)


def test_equal_shards_have_equal_bytes(tmp_path: Path) -> None:
    shard = shards_in_order(PLAN)[0]
    first, second = (label_shard(shard, tmp_path / name) for name in "ab")
    assert first.sha256 == second.sha256


def test_a_shard_file_gives_back_bits_and_labels(tmp_path: Path) -> None:
    engine = ENGINES["tblite"]({"method": "GFN1-xTB"})
    sample = generate(DIMERS, 0)
    targets = {**engine.label(sample), "stress": np.diag([0.1, -0.2, 0.3])}
    labeled = type(sample)(**{**vars(sample), "targets": targets})
    write_shard(tmp_path / "one.extxyz.gz", [labeled])
    (found,) = read_shard(tmp_path / "one.extxyz.gz")
    assert np.array_equal(found.positions, sample.positions)
    assert found.source == sample.source
    assert float(found.targets["energy"]) == pytest.approx(float(targets["energy"]), abs=1e-9)
    assert np.allclose(found.targets["stress"], targets["stress"], atol=1e-9)


def test_shards_take_turns_by_their_share_of_time() -> None:
    slow = SetPlan(**{**vars(DIMERS), "name": "slow", "seconds": 0.02})
    order = shards_in_order(CollectionPlan(sets=(DIMERS, slow)))
    assert [shard.plan.name for shard in order] == ["dimers", "slow", "dimers", "slow"]
    assert [len(shard.indices) for shard in order] == [3, 3, 2, 2]


def test_the_reference_plan_names_what_exists() -> None:
    for entry in load_plan(DEFAULT_PLAN).sets:
        assert entry.engine in ENGINES
        signature(GENERATORS[entry.generator]).bind(entry.seed, 0, **entry.generator_options)


def test_a_wrong_key_in_a_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("sets: []\ncolour: red\n")
    with pytest.raises(ConfigError, match=r"(?s)plan\.yaml.*colour"):
        load_plan(tmp_path / "plan.yaml")


def test_sets_with_the_same_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="repeated: dimers"):
        CollectionPlan(sets=(DIMERS, DIMERS))
