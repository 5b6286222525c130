"""Every entry of DATASETS tells what a card needs; published files hold what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atomfm_calc.errors import DataError
from atomfm_calc.models.foundation import HEAD_NAME
from atomfm_calc.sample import check_sample
from training.datasets import DATASETS
from training.datasets.adapter import PublishedFiles

PUBLISHED = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_has_the_facts_for_a_card(name: str) -> None:
    info = DATASETS[name].info
    assert info.name == name
    assert HEAD_NAME.fullmatch(name)
    for fact in (info.title, info.theory, info.code, info.data, info.source, info.licence):
        assert fact


@pytest.mark.parametrize("name", DATASETS)
def test_data_under_a_share_alike_licence_is_not_for_shipping(name: str) -> None:
    info = DATASETS[name].info
    assert not (info.redistributable and "GPL" in info.licence)


@pytest.mark.parametrize("name", DATASETS)
def test_published_files_hold_energies_and_forces(name: str) -> None:
    dataset = DATASETS[name]
    if not isinstance(dataset, PublishedFiles) or not PUBLISHED.is_dir():
        pytest.skip("not a published file, or the files are not here")
    first = dataset.files(PUBLISHED)[0]
    if name in ("alexandria-pbe", "monbtaw-pbe"):
        pytest.skip("takes seconds to decompress")
    for sample in dataset.read(first, 0, 3):
        check_sample(sample)
        assert {"energy", "forces"} <= set(sample.targets)


def test_missing_files_are_named_with_the_key_to_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"botnet_acac_train.*data\.root"):
        DATASETS["acac-pbe-d3"].files(tmp_path)


def test_a_collection_gives_each_head_the_shards_of_its_sets(tmp_path: Path) -> None:
    sets = [{"name": "a", "head": "gfn2-xtb"}, {"name": "b", "head": "gfn1-xtb"}]
    (tmp_path / "manifest.json").write_text(json.dumps({"sets": sets}))
    for name in ("a/a-0001", "a/a-0000", "b/b-0000"):
        path = tmp_path / f"{name}.extxyz.gz"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [path.name for path in DATASETS["gfn2-xtb"].files(tmp_path)]
    assert found == ["a-0000.extxyz.gz", "a-0001.extxyz.gz"]
    with pytest.raises(DataError, match="no shard for 'gpaw-pbe'.*gfn1-xtb, gfn2-xtb"):
        DATASETS["gpaw-pbe"].files(tmp_path)
