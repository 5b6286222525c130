"""Extended XYZ comes in with the labels, units and order of the file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from training.datasets.readers.extxyz import read_extxyz

RECORD = """2
{lattice}Properties=species:S:1:pos:R:3:REF_forces:R:3 REF_energy=-1.5 {more} pbc="{pbc}"
H 0.0 0.0 0.0 0.1 0.2 0.3
O 0.0 0.0 1.0 -0.1 -0.2 -0.3
"""


def _write(path: Path, more: str = "", pbc: str = "F F F", count: int = 1) -> Path:
    lattice = 'Lattice="4 0 0 0 5 0 0 0 6" ' if "T" in pbc else ""
    text = RECORD.format(lattice=lattice, more=more, pbc=pbc) * count
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_labels_charge_and_multiplicity_are_read_from_a_compressed_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.extxyz.gz", "charge=-1 multiplicity=2", count=2)
    first, second = read_extxyz(path)
    assert first.targets["energy"] == -1.5
    assert first.targets["forces"][1] == pytest.approx([-0.1, -0.2, -0.3])
    assert (first.charge, first.multiplicity) == (-1, 2)
    assert second.source == "a.extxyz.gz#1"


def test_nine_and_nested_and_six_stress_numbers_are_the_same_tensor(tmp_path: Path) -> None:
    texts = (
        'REF_stress="1 6 5 6 2 4 5 4 3"',
        'REF_stress="_JSON [[1, 6, 5], [6, 2, 4], [5, 4, 3]]"',
        'REF_stress="1 2 3 4 5 6"',
    )
    for text in texts:
        (sample,) = read_extxyz(_write(tmp_path / "b.extxyz", text, "T T T"))
        assert sample.targets["stress"] == pytest.approx(
            np.array([[1, 6, 5], [6, 2, 4], [5, 4, 3]])
        )


def test_labels_that_ase_moves_into_a_calculator_are_found(tmp_path: Path) -> None:
    path = tmp_path / "c.extxyz"
    text = _write(path, 'stress="1 6 5 6 2 4 5 4 3"', "T T T").read_text()
    path.write_text(text.replace("REF_", ""))
    (sample,) = read_extxyz(path)
    assert sample.targets["energy"] == -1.5
    assert sample.targets["forces"][0] == pytest.approx([0.1, 0.2, 0.3])
    assert sample.targets["stress"][0] == pytest.approx([1.0, 6.0, 5.0])


def test_a_broken_record_is_named_by_file_and_frame(tmp_path: Path) -> None:
    path = _write(tmp_path / "d.extxyz", count=2)
    path.write_text(path.read_text().replace("O 0.0 0.0 1.0 -0.1", "O 0.0 zero 1.0 -0.1"))
    with pytest.raises(DataError, match=r"d\.extxyz#0 cannot be read"):
        list(read_extxyz(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*e\.extxyz"):
        list(read_extxyz(tmp_path / "e.extxyz"))
