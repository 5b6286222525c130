"""OMat24 crystals with stress in ASE's order and sign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from tests.made import public_files_ase as made
from training.datasets import DATASETS

OMAT24 = DATASETS["omat24"]


def test_crystals_have_energy_forces_and_stress(tmp_path: Path) -> None:
    train, validation = OMAT24.files(made.write_omat24(tmp_path))
    samples = list(OMAT24.read(train))
    assert len(samples) == OMAT24.count(train) == 3  # ids 1, 3, 4: a deleted id is no record
    for number, sample in enumerate(samples):
        assert sample.atomic_numbers.tolist() == [29, 8, 1]
        assert sample.positions == pytest.approx(made.POSITIONS + number)
        assert sample.cell == pytest.approx(made.CELL)
        assert sample.pbc.all()
        assert sample.targets["energy"] == pytest.approx(-181.54722937 - number, abs=1e-12)
        assert sample.targets["forces"] == pytest.approx(made.FORCES + number)
        # xx yy zz yz xz xy of the file are 0.01 ... 0.06, tension positive
        tensor = np.array([[0.01, 0.06, 0.05], [0.06, 0.02, 0.04], [0.05, 0.04, 0.03]])
        assert sample.targets["stress"] == pytest.approx(tensor + number)
    splits = (OMAT24.published_split(train), OMAT24.published_split(validation))
    assert splits == ("train", "validation")


def test_a_tensor_of_nine_numbers_is_the_same_stress(tmp_path: Path) -> None:
    tensor = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    rows = [made.lmdb_row(stress=value) for value in (tensor, tensor.ravel(), np.arange(1.0, 7.0))]
    made.write_aselmdb(tmp_path / "a.aselmdb", rows)
    for sample in OMAT24.read(tmp_path / "a.aselmdb"):
        assert sample.targets["stress"] == pytest.approx(tensor)


def test_labels_that_stand_in_the_data_of_a_row_are_found(tmp_path: Path) -> None:
    data = {"energy": -1.5, "forces": made.FORCES, "stress": np.array(made.STRESS)}
    row = made.lmdb_row(energy=None, forces=None, data=data)
    made.write_aselmdb(tmp_path / "a.aselmdb", [row])
    (sample,) = OMAT24.read(tmp_path / "a.aselmdb")
    assert sample.targets["energy"] == -1.5
    assert sample.targets["forces"] == pytest.approx(made.FORCES)


def test_a_crystal_without_stress_is_no_record_of_omat24(tmp_path: Path) -> None:
    made.write_aselmdb(tmp_path / "a.aselmdb", [made.lmdb_row()])
    with pytest.raises(DataError, match=r"a\.aselmdb#0 cannot be read.*has no stress"):
        list(OMAT24.read(tmp_path / "a.aselmdb"))


def test_the_root_may_be_the_folder_of_the_dataset_itself(tmp_path: Path) -> None:
    root = made.write_omat24(tmp_path)
    assert OMAT24.files(root / "omat24") == OMAT24.files(root)


def test_a_root_without_the_folder_of_the_dataset_is_told_where_it_belongs(tmp_path: Path) -> None:
    made.write_aselmdb(tmp_path / "train" / "data0000.aselmdb", [made.lmdb_row()])
    with pytest.raises(DataError, match=r"omat24 is no file and .*into a folder omat24/train"):
        OMAT24.files(tmp_path)
