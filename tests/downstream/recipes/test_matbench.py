"""Matbench: values row by row, identifiers, and the official folds against published ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from downstream.readers.matbench import MatbenchTask, random_parts, stratified_parts
from tests.made.public_files_h5_json import FRACTIONAL, LATTICE
from tests.made.recipe_files import matbench

TASK = MatbenchTask(name="mp_gap", column="gap pbe", target="band_gap", n_structures=106113)


def test_a_row_is_a_crystal_and_its_value(tmp_path: Path) -> None:
    matbench("mp_gap", "gap pbe", [0.0, 1.25, 3], tmp_path)
    first, second, third = TASK.read(tmp_path)
    assert first.source == "mb-mp-gap-000001"
    assert [float(one.targets["band_gap"]) for one in (first, second, third)] == [0.0, 1.25, 3.0]
    assert second.atomic_numbers.tolist() == [11, 17]
    assert second.cell.tolist() == LATTICE
    assert np.allclose(second.positions, np.array(FRACTIONAL) @ np.array(LATTICE))
    assert second.pbc.all()


@pytest.mark.parametrize(
    ("name", "n_structures", "number", "identifier"),
    [
        ("jdft2d", 636, 11, "mb-jdft2d-012"),
        ("dielectric", 4764, 4, "mb-dielectric-0005"),
        ("log_gvrh", 10987, 0, "mb-log-gvrh-00001"),
        ("mp_is_metal", 106113, 3, "mb-mp-is-metal-000004"),
    ],
)
def test_identifiers_are_those_of_published_results(
    name: str, n_structures: int, number: int, identifier: str
) -> None:
    task = MatbenchTask(name=name, column="", target="", n_structures=n_structures)
    assert task.identifier(number) == identifier


@pytest.mark.parametrize(
    ("n_samples", "first_of_fold_0", "sizes"),
    [
        # the first rows in the test part of fold_0, and the sizes of all five, of the entry
        # matbench_v0.1_dummy in github.com/materialsproject/matbench; rows counted from 0
        (636, [11, 13, 26, 30, 31, 39, 49, 51], [128, 127, 127, 127, 127]),
        (1265, [1, 2, 6, 9, 17, 18, 20, 25], [253] * 5),
        (4764, [7, 9, 18, 24, 30, 35, 37, 39], [953, 953, 953, 953, 952]),
        (10987, [5, 9, 39, 46, 48, 51, 56, 63], [2198, 2198, 2197, 2197, 2197]),
        (18928, [5, 10, 20, 33, 37, 60, 61, 69], [3786, 3786, 3786, 3785, 3785]),
        (106113, [2, 3, 10, 17, 29, 32, 37, 39], [21223, 21223, 21223, 21222, 21222]),
        (132752, [3, 7, 10, 17, 18, 29, 32, 37], [26551, 26551, 26550, 26550, 26550]),
    ],
)
def test_folds_are_the_published_ones(
    n_samples: int, first_of_fold_0: list[int], sizes: list[int]
) -> None:
    parts = random_parts(n_samples)
    assert np.flatnonzero(parts == 0)[:8].tolist() == first_of_fold_0
    assert np.bincount(parts).tolist() == sizes


def test_folds_of_classes_are_those_of_scikit_learn() -> None:
    # StratifiedKFold(5, shuffle=True, random_state=18012019) of scikit-learn 1.9.1
    classes = np.array([1, 0, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0])
    assert stratified_parts(classes).tolist() == [1, 4, 1, 2, 3, 2, 1, 0, 3, 0, 4, 0]


def test_every_fold_of_classes_has_its_share_of_each() -> None:
    classes = (np.arange(103) % 3 == 0).astype(int)  # 35 of 103
    parts = stratified_parts(classes)
    assert np.bincount(parts[classes == 1]).tolist() == [7] * 5
    assert sorted(np.bincount(parts).tolist()) == [20, 20, 21, 21, 21]


def test_folds_of_another_file_are_refused(tmp_path: Path) -> None:
    matbench("mp_gap", "gap pbe", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], tmp_path)
    samples = list(TASK.read(tmp_path))
    with pytest.raises(DataError, match=r"row 2 .*'mb-mp-gap-000004', not 'mb-mp-gap-000003'"):
        TASK.read_folds(tmp_path, [*samples[:2], *samples[3:]])


@pytest.mark.parametrize(
    ("value", "message"),
    [(None, "None"), ("1.0", "1.0"), (float("nan"), ""), ([1.0], r"\[1.0\]")],
)
def test_a_value_that_is_no_number_names_its_row(
    value: object, message: str, tmp_path: Path
) -> None:
    matbench("mp_gap", "gap pbe", [0.0, 1.0, value], tmp_path)
    with pytest.raises(DataError, match=rf"matbench_mp_gap.json.gz#2 cannot be read.*{message}"):
        list(TASK.read(tmp_path))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    matbench("mp_gap", "gap", [0.0], tmp_path)
    with pytest.raises(DataError, match="no column 'gap pbe'; there are:.*'gap'"):
        list(TASK.read(tmp_path))


def test_a_site_that_two_elements_share_is_refused(tmp_path: Path) -> None:
    path = matbench("mp_gap", "gap pbe", [0.0], tmp_path)
    table = json.loads(gzip.decompress(path.read_bytes()))
    table["data"][0][0]["sites"][0]["species"].append({"element": "K", "occu": 0.5})
    path.write_bytes(gzip.compress(json.dumps(table).encode()))
    with pytest.raises(DataError, match="#0 cannot be read.*only ordered structures"):
        list(TASK.read(tmp_path))


def test_a_table_that_lacks_rows_is_refused(tmp_path: Path) -> None:
    path = matbench("mp_gap", "gap pbe", [0.0, 1.0], tmp_path)
    table = json.loads(gzip.decompress(path.read_bytes()))
    table["data"].pop()
    path.write_bytes(gzip.compress(json.dumps(table).encode()))
    with pytest.raises(DataError, match="ends after 1 of 2 rows"):
        list(TASK.read(tmp_path))
