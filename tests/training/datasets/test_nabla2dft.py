"""∇²DFT: hartree and hartree/Å become eV and eV/Å, labels come from the rows' data."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from atomfm_calc.errors import DataError
from tests.made import public_files_ase as made
from training.datasets import DATASETS

NABLA2DFT = DATASETS["nabla2dft"]


def test_conformers_are_in_eV_and_angstrom_with_their_molecule(tmp_path: Path) -> None:
    test, train = NABLA2DFT.files(made.write_nabla2dft(tmp_path))
    samples = list(NABLA2DFT.read(train))
    for number, sample in enumerate(samples):
        assert sample.atomic_numbers.tolist() == [8, 1]
        assert sample.positions == pytest.approx(made.POSITIONS[1:])
        assert not sample.pbc.any()
        energy = (-0.5 - number) * made.HARTREE
        assert sample.targets["energy"] == pytest.approx(energy, rel=1e-7)
        assert (sample.charge, sample.multiplicity, sample.group) == (0, 1, "moses-1234")
    assert samples[0].targets["forces"] == pytest.approx(made.FORCES[1:] * made.HARTREE, rel=1e-7)
    splits = (NABLA2DFT.published_split(train), NABLA2DFT.published_split(test))
    assert splits == ("train", "test")


def test_a_row_without_forces_is_a_sample_without_that_label(tmp_path: Path) -> None:
    train = NABLA2DFT.files(made.write_nabla2dft(tmp_path))[1]
    (second,) = NABLA2DFT.read(train, 1)
    assert set(second.targets) == {"energy"}


def test_a_row_without_energy_is_named(tmp_path: Path) -> None:
    train = NABLA2DFT.files(made.write_nabla2dft(tmp_path))[1]
    with closing(sqlite3.connect(train)) as connection:
        connection.execute("UPDATE systems SET data = 'null' WHERE id = 2")
        connection.commit()
    with pytest.raises(DataError, match=r"forces\.db#1 cannot be read"):
        list(NABLA2DFT.read(train))
    assert len(list(NABLA2DFT.read(train, 0, 1))) == 1


def test_a_database_that_says_other_units_is_refused(tmp_path: Path) -> None:
    stated = {"energy": "eV", "forces": "eV/Ang"}
    root = made.write_nabla2dft(tmp_path, _distance_unit="Ang", _property_unit_dict=stated)
    with pytest.raises(DataError, match=r"says it is in \{'energy': 'eV'"):
        list(NABLA2DFT.read(NABLA2DFT.files(root)[1]))


def test_a_database_that_says_the_known_units_is_read(tmp_path: Path) -> None:
    stated = {"energy": "Hartree", "forces": "Hartree/Ang"}
    root = made.write_nabla2dft(tmp_path, _distance_unit="Ang", _property_unit_dict=stated)
    assert len(list(NABLA2DFT.read(NABLA2DFT.files(root)[1]))) == 2


def test_two_training_sets_are_refused_together(tmp_path: Path) -> None:
    root = made.write_nabla2dft(tmp_path)
    (root / "train_5k_v2_formation_energy_w_forces.db").touch()
    with pytest.raises(DataError, match="more than once: train_2k_.*, train_5k_.*; keep one"):
        NABLA2DFT.files(root)


def test_an_empty_file_is_not_made_into_a_database(tmp_path: Path) -> None:
    path = tmp_path / "train_2k_v2_formation_energy_w_forces.db"
    path.touch()
    with pytest.raises(DataError, match=r"forces\.db#0 cannot be read.*no such table"):
        list(NABLA2DFT.read(path))
    assert path.stat().st_size == 0
