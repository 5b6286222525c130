"""A user's file: formats, keys, units, and errors that say what to write."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write

from atomfm_calc.errors import DataError, UnknownNameError
from atomfm_calc.units import forces_factor
from training.datasets import DATASETS
from training.datasets.own import OwnFile, read_own
from training.datasets.readers.rows import read_rows
from training.own_data import OwnData

FORCES = np.array([[0.0, 0.0, 0.3], [0.0, 0.0, -0.3]])
STRESS = np.diag([0.01, 0.02, 0.03])


def _computed(**info: float) -> Atoms:
    atoms = Atoms("LiH", positions=[(0, 0, 0), (0, 0, 1.6)], cell=(4, 5, 6), pbc=True, info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=-2.5, forces=FORCES, stress=STRESS)
    return atoms


def _keyed(**values: object) -> Atoms:
    atoms = Atoms("LiH", positions=[(0, 0, 0), (0, 0, 1.6)], cell=(4, 5, 6), pbc=True)
    for name, value in values.items():
        (atoms.arrays if np.shape(value) == (2, 3) else atoms.info)[name] = value
    return atoms


def _file(path: Path, frames: list[Atoms]) -> Path:
    """Written by ASE in the format of the ending."""
    if path.suffix in (".db", ".aselmdb"):
        with connect(path, use_lock_file=False) as database:
            for atoms in frames:
                database.write(atoms)
    else:
        write(path, frames, format="traj" if path.suffix == ".traj" else "extxyz")
    return path


@pytest.mark.parametrize(
    "ending", ["xyz", "extxyz", "extxyz.gz", "xyz.xz", "extxyz.bz2", "traj", "db", "aselmdb"]
)
def test_every_format_gives_the_labels_of_a_calculator(tmp_path: Path, ending: str) -> None:
    path = _file(tmp_path / f"own.{ending}", [_computed(), _computed()])
    first, second = OwnFile(info=DATASETS["extxyz"].info).read(path)
    assert first.targets["energy"] == -2.5
    assert first.targets["forces"] == pytest.approx(FORCES)
    assert first.targets["stress"] == pytest.approx(STRESS)
    assert first.cell == pytest.approx(np.diag([4.0, 5.0, 6.0]))
    assert second.source == f"own.{ending}#1"


def test_compressed_text_is_read_by_its_ending(tmp_path: Path) -> None:
    text = _file(tmp_path / "own.extxyz", [_keyed(REF_energy=-1.0)]).read_bytes()
    for name, module in (("gz", gzip), ("xz", lzma), ("bz2", bz2)):
        path = tmp_path / f"own.extxyz.{name}"
        path.write_bytes(module.compress(text))
        (row,) = read_own(OwnData(path=path))
        assert row.sample is not None
        assert row.sample.targets["energy"] == -1.0


def test_ref_keys_come_before_those_of_the_calculator(tmp_path: Path) -> None:
    path = _file(tmp_path / "own.extxyz", [_computed(REF_energy=-7.0)])
    (sample,) = DATASETS["extxyz"].read(path)
    assert sample.targets["energy"] == -7.0
    assert sample.targets["forces"] == pytest.approx(FORCES)


def test_declared_keys_and_units_are_converted(tmp_path: Path) -> None:
    frame = _keyed(dft_energy=-1.0, dft_forces=FORCES, dft_stress=[10.0, 20.0, 30.0, 0, 0, 0])
    own = OwnData(
        path=_file(tmp_path / "own.extxyz", [frame]),
        energy_key="dft_energy",
        forces_key="dft_forces",
        stress_key="dft_stress",
        energy_unit="hartree",
        length_unit="bohr",
        forces_unit="hartree/bohr",
        stress_unit="kbar",
        stress_sign="compression positive",
    )
    (row,) = read_own(own)
    assert row.sample is not None
    assert row.sample.targets["energy"] == pytest.approx(-27.211386, rel=1e-7)
    assert row.sample.targets["forces"] == pytest.approx(FORCES * 27.211386 / 0.52917721)
    # 1 kbar = 1e8 Pa, 1 eV/Å³ = 160.21766 GPa
    assert row.sample.targets["stress"] == pytest.approx(-np.diag([1.0, 2.0, 3.0]) / 160.21766)
    assert row.sample.positions[1, 2] == pytest.approx(1.6 * 0.52917721)


def test_a_virial_is_minus_stress_times_volume(tmp_path: Path) -> None:
    path = _file(tmp_path / "own.extxyz", [_keyed(w=(-120.0 * STRESS).reshape(9))])
    (row,) = read_own(OwnData(path=path, stress_key="w", stress_is="virial"))
    assert row.sample is not None
    assert row.sample.targets["stress"] == pytest.approx(STRESS)  # the volume is 4·5·6 Å³


def test_a_row_without_labels_lists_its_keys_and_says_what_to_write(tmp_path: Path) -> None:
    path = _file(tmp_path / "own.extxyz", [_keyed(e_tot=-1.0, dft_forces=FORCES)])
    expected = r"own\.extxyz#0 has no energy.*keys: dft_forces, e_tot.*energy_key.*REF_energy"
    with pytest.raises(DataError, match=expected):
        list(DATASETS["extxyz"].read(path))


def test_damaged_rows_are_told_and_the_others_are_read(tmp_path: Path) -> None:
    path = _file(tmp_path / "own.extxyz", [_keyed(REF_energy=float(i)) for i in range(5)])
    lines = path.read_text().splitlines(keepends=True)
    lines[18] = "H zero 0.0 1.6\n"  # row 4: two lines, then its first atom
    lines.insert(12, "H 0.0 0.0 3.0\n")  # row 2: one atom more than it says
    del lines[3]  # row 0: one atom less
    path.write_text("".join(lines))
    rows = list(read_rows(path))
    assert [bool(row.problem) for row in rows] == [True, False, True, False, True]
    assert "2 atoms, but 1 lines follow" in rows[0].problem
    assert "more lines follow" in rows[2].problem
    assert [rows[i].values["REF_energy"] for i in (1, 3)] == [1.0, 3.0]


def test_a_compressed_file_that_is_cut_short_gives_its_whole_rows(tmp_path: Path) -> None:
    path = _file(tmp_path / "own.extxyz.gz", [_keyed(REF_energy=float(i)) for i in range(300)])
    path.write_bytes(path.read_bytes()[:-100])
    rows = list(read_rows(path))
    assert rows[0].problem == ""
    assert rows[-1].problem != ""


def test_groups_units_and_endings_are_checked(tmp_path: Path) -> None:
    path = _file(tmp_path / "own.extxyz", [_keyed(REF_energy=-1.0, run="a")])
    (row,) = read_own(OwnData(path=path, group_key="run"))
    assert row.sample is not None
    assert row.sample.group == "a"
    (row,) = read_own(OwnData(path=path, group_key="trajectory"))
    assert "no key 'trajectory' to group by; it has: REF_energy, run" in row.problem
    with pytest.raises(UnknownNameError, match="no energy unit 'cal'"):
        forces_factor("cal/angstrom")
    (tmp_path / "own.json").touch()
    with pytest.raises(UnknownNameError, match=r"file ending for own\.json 'json'.*extxyz"):
        list(read_rows(tmp_path / "own.json"))


def test_a_folder_gives_all_files_that_can_be_read(tmp_path: Path) -> None:
    for name in ("b.extxyz", "a.db", "c.xyz.bz2", "notes.txt"):
        (tmp_path / name).touch()
    names = [path.name for path in DATASETS["extxyz"].files(tmp_path)]
    assert names == ["a.db", "b.extxyz", "c.xyz.bz2"]
