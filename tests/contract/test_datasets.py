"""What every public dataset keeps: record numbers, pieces, damage, on miniatures of its files."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample
from tests.made.public_files import MINIATURES
from training.datasets import DATASETS
from training.datasets.adapter import PublicDataset


@pytest.fixture(params=MINIATURES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dataset(name: str) -> PublicDataset[object]:
    found = DATASETS[name]
    assert isinstance(found, PublicDataset)
    return found


@pytest.fixture
def files(name: str, dataset: PublicDataset[object], tmp_path: Path) -> list[Path]:
    return dataset.files(MINIATURES[name](tmp_path / "root"))


def _texts(samples: Iterable[Sample]) -> list[str]:
    """Everything that is in a sample, comparable; repr of a float is exact."""
    texts = []
    for one in samples:
        arrays = (one.atomic_numbers, one.positions, one.cell, one.pbc)
        labels = sorted((key, np.asarray(value).tolist()) for key, value in one.targets.items())
        state = (one.charge, one.multiplicity, one.source, one.group)
        texts.append(repr(([array.tolist() for array in arrays], labels, state)))
    return texts


def test_every_public_dataset_has_a_miniature() -> None:
    public = {name for name, entry in DATASETS.items() if isinstance(entry, PublicDataset)}
    assert public == set(MINIATURES)


def test_datasets_below_one_root_do_not_read_each_others_files(tmp_path: Path) -> None:
    together = tmp_path / "together"
    for name, write in MINIATURES.items():
        if name not in ("omol25-neutral", "omol25-non-neutral"):  # the files of omol25
            write(together)
    for name, write in MINIATURES.items():
        alone = write(tmp_path / name / "root")
        here = [path.relative_to(alone) for path in DATASETS[name].files(alone)]
        assert [path.relative_to(together) for path in DATASETS[name].files(together)] == here


def test_every_sample_is_sound_and_names_its_record(
    dataset: PublicDataset[object], files: list[Path]
) -> None:
    for path in files:
        numbers = []
        for sample in dataset.read(path):
            check_sample(sample)
            file, _, number = sample.source.rpartition("#")
            assert file == path.name
            numbers.append(int(number))
        assert numbers == sorted(set(numbers))
        assert all(0 <= number < dataset.count(path) for number in numbers)


def test_as_many_records_are_read_as_are_counted(
    dataset: PublicDataset[object], files: list[Path]
) -> None:
    if dataset.keep is not None:
        pytest.skip("passes over records that belong to another dataset")
    for path in files:
        assert len(list(dataset.read(path))) == dataset.count(path) > 0


def test_pieces_are_together_the_whole(dataset: PublicDataset[object], files: list[Path]) -> None:
    for path in files:
        whole, count = _texts(dataset.read(path)), dataset.count(path)
        for size in (1, 2):
            starts = range(0, count, size)
            pieces = (_texts(dataset.read(path, start, start + size)) for start in starts)
            assert list(chain.from_iterable(pieces)) == whole
        assert _texts(dataset.read(path, count)) == _texts(dataset.read(path, 0, 0)) == []


def test_two_may_read_a_file_at_the_same_time(
    dataset: PublicDataset[object], files: list[Path]
) -> None:
    pairs = list(zip(dataset.read(files[0]), dataset.read(files[0]), strict=True))
    assert _texts(one for one, _ in pairs) == _texts(other for _, other in pairs)
    assert dataset.count(files[0]) >= len(pairs) > 0


def test_a_file_that_is_cut_short_is_named(
    dataset: PublicDataset[object], files: list[Path]
) -> None:
    path = files[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"{path.name}.*cannot be read"):
        list(dataset.read(path))


def test_a_file_of_something_else_is_named(
    dataset: PublicDataset[object], files: list[Path]
) -> None:
    files[0].write_bytes(b"<html>Access denied</html>\n" * 400)
    with pytest.raises(DataError, match=rf"{files[0].name}.*cannot be read"):
        list(dataset.read(files[0]))


def test_a_folder_without_the_files_says_how_to_get_them(
    dataset: PublicDataset[object], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="holds no ") as error:
        dataset.files(tmp_path)
    assert dataset.info.obtain in str(error.value)
