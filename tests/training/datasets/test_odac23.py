"""ODAC23: one trajectory per file, total energies only."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomfm_calc.errors import DataError
from tests.made import public_files_ase as made
from training.datasets import DATASETS

ODAC23 = DATASETS["odac23"]


def test_frames_of_a_file_are_one_group_with_total_energies(tmp_path: Path) -> None:
    train, validation = ODAC23.files(made.write_odac23(tmp_path))
    samples = list(ODAC23.read(train))
    for number, sample in enumerate(samples):
        assert sample.atomic_numbers.tolist() == [29, 8, 1]
        assert sample.positions == pytest.approx(made.POSITIONS + number)
        assert sample.cell == pytest.approx(made.CELL)
        assert sample.pbc.all()
        assert sample.targets["energy"] == pytest.approx(-181.54722937 - number, abs=1e-12)
        assert sample.targets["forces"] == pytest.approx(made.FORCES + number)
        assert sample.group == "ABAYIO_w_CO2_1"
    splits = (ODAC23.published_split(train), ODAC23.published_split(validation))
    assert splits == ("train", "validation")


def test_an_adsorption_energy_is_not_taken_for_a_total_energy(tmp_path: Path) -> None:
    path = tmp_path / "a.extxyz"
    path.write_text(made.extxyz_frame() + made.extxyz_frame(energy=-0.6, tags=False))
    with pytest.raises(DataError, match=r"a\.extxyz#1 cannot be read.*energy is -0\.200 eV/atom"):
        list(ODAC23.read(path))


def test_pickled_graphs_are_refused_with_the_files_to_take_instead(tmp_path: Path) -> None:
    (tmp_path / "odac23").mkdir()
    (tmp_path / "odac23" / "data.0000.lmdb").touch()
    with pytest.raises(DataError, match=r"a pickle runs whatever code.*take extxyz_train\.tar\.gz"):
        ODAC23.files(tmp_path)
