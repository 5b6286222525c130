"""QCML: TFRecord files, with charge and multiplicity, from atomic units to eV and Å."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from tests.made.public_files_h5_json import POSITIONS, qcml, tf_example, tfrecord
from training.datasets.qcml import QCML
from training.datasets.readers.tfrecord import read_examples

HARTREE, BOHR = 27.211386245988, 0.529177210903
"""eV and Å; editions of CODATA differ in the eighth digit."""


def _shard(folder: Path) -> Path:
    (path,) = QCML.files(qcml(folder))
    return path


def test_qcml_is_converted_from_bohr_and_hartree(tmp_path: Path) -> None:
    cation = next(QCML.read(_shard(tmp_path)))
    assert cation.atomic_numbers.tolist() == [8, 1, 1]
    assert cation.positions == pytest.approx(POSITIONS * BOHR, abs=1e-6)  # stored as float32
    assert float(cation.targets["energy"]) == pytest.approx(-76.25 * HARTREE, rel=1e-7)
    forces = np.full((3, 3), 0.25 * HARTREE / BOHR)
    assert cation.targets["forces"] == pytest.approx(forces, rel=1e-7)
    assert not cation.pbc.any()


def test_qcml_keeps_charge_and_multiplicity_and_an_outlier_has_no_labels(tmp_path: Path) -> None:
    samples = list(QCML.read(_shard(tmp_path)))
    states = [(sample.charge, sample.multiplicity) for sample in samples]
    assert states == [(1, 2), (0, 3), (0, 1)]
    assert [len(sample.targets) for sample in samples] == [2, 2, 0]


def test_only_the_feature_group_with_forces_is_read(tmp_path: Path) -> None:
    path = _shard(tmp_path)
    assert path.parts[-3] == "dft_force_field"
    assert QCML.files(path.parent) == [path]


def test_records_can_be_read_from_any_number_on(tmp_path: Path) -> None:
    path = _shard(tmp_path)
    assert QCML.count(path) == 3
    assert [sample.source[-2:] for sample in QCML.read(path, 1, 2)] == ["#1"]
    assert [sample.multiplicity for sample in QCML.read(path, 1)] == [3, 1]
    assert not list(QCML.read(path, 3))


def test_negative_numbers_and_texts_come_back_from_an_example(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(tfrecord(tf_example({"charge": [-2], "name": b"OH", "x": [0.5, -1.5]})))
    (example,) = read_examples(path)
    assert example["name"] == [b"OH"]
    assert np.asarray(example["charge"]).tolist() == [-2]
    assert np.asarray(example["x"]).tolist() == [0.5, -1.5]


@pytest.mark.parametrize(("place", "what"), [(0, "its length"), (40, "its data"), (-1, "its data")])
def test_a_flipped_bit_is_found_and_its_record_named(tmp_path: Path, place: int, what: str) -> None:
    path = _shard(tmp_path)
    data = bytearray(path.read_bytes())
    size = len(data) // 3  # the three examples are equally long
    data[size + place if place >= 0 else 2 * size - 1] ^= 4
    path.write_bytes(bytes(data))
    samples = QCML.read(path)
    next(samples)
    with pytest.raises(DataError, match=rf"00001#1 .*record 1: the checksum of {what} is wrong"):
        next(samples)


@pytest.mark.parametrize("cut", [1, 100])
def test_a_file_that_is_cut_off_is_named_by_reading_and_by_counting(
    tmp_path: Path, cut: int
) -> None:
    path = _shard(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"00001#2 .*record 2: the file ends within its data"):
        list(QCML.read(path))
    with pytest.raises(DataError, match=r"00001 cannot be read: .*record 2"):
        QCML.count(path)


def test_data_that_are_no_example_and_missing_features_are_named(tmp_path: Path) -> None:
    path = tmp_path / "qcml-full.tfrecord-00000-of-00001"
    path.write_bytes(tfrecord(b"\xff\xff\xff"))
    with pytest.raises(DataError, match=r"00001#0 .*no tf\.train\.Example"):
        list(QCML.read(path))
    path.write_bytes(tfrecord(tf_example({"atomic_numbers": [1]})))
    with pytest.raises(DataError, match="no 'pbe0_energy'; it has: atomic_numbers"):
        list(QCML.read(path))
