"""Values, units and names of the recipes' public files, number by number."""

from __future__ import annotations

import bz2
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from downstream.recipes.abc3 import data as abc3
from downstream.recipes.materials_project import data as materials_project
from downstream.recipes.ms25 import data as ms25
from downstream.recipes.oqmd import data as oqmd
from downstream.recipes.qm9 import data as qm9
from downstream.recipes.rmd17 import data as rmd17
from downstream.recipes.wiggle150 import data as wiggle150
from tests.made import recipe_files

HARTREE_eV = 27.211386
KCAL_eV = 0.0433641


def test_a_molecule_of_qm9_has_thirteen_values_in_their_units(tmp_path: Path) -> None:
    recipe_files.qm9(tmp_path)
    first = next(qm9.read(tmp_path))
    assert first.source == "gdb 1"
    assert first.atomic_numbers.tolist() == [8, 1, 1]
    assert first.positions[0].tolist() == [0.0, 0.0, 0.12]  # 1.2*^-1
    assert first.positions[1].tolist() == [0.0, 0.76, -0.47]  # 7.6*^-1
    values = {name: float(value) for name, value in first.targets.items()}
    assert len(values) == 13
    assert values["dipole_moment"] == pytest.approx(0.01)
    assert values["polarizability"] == pytest.approx(0.11)
    assert values["homo"] == pytest.approx(0.21 * HARTREE_eV, rel=1e-6)
    assert values["electronic_spatial_extent"] == pytest.approx(0.51)
    assert values["u0"] == pytest.approx(-76.1 * HARTREE_eV, rel=1e-6)
    assert values["heat_capacity"] == pytest.approx(1.11)
    of_atoms = -75.064579 - 2 * 0.500273
    assert values["atomization_energy"] == pytest.approx((-76.1 - of_atoms) * HARTREE_eV, rel=1e-6)


def test_molecules_whose_geometry_is_not_theirs_are_left_out(tmp_path: Path) -> None:
    recipe_files.qm9(tmp_path)
    assert [one.source for one in qm9.read(tmp_path)][:3] == ["gdb 1", "gdb 2", "gdb 4"]


def test_qm9_without_the_list_of_those_molecules_is_refused(tmp_path: Path) -> None:
    recipe_files.qm9(tmp_path)
    (tmp_path / "uncharacterized.txt").unlink()
    with pytest.raises(DataError, match=r"uncharacterized.txt is not in"):
        list(qm9.read(tmp_path))


def test_a_list_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    recipe_files.qm9(tmp_path)
    path = tmp_path / "uncharacterized.txt"
    path.write_text(path.read_text().replace("1 compounds", "2 compounds"))
    with pytest.raises(DataError, match="says 2 compounds and names 1"):
        list(qm9.read(tmp_path))


def test_a_molecule_of_qm9_that_lacks_an_atom_is_named(tmp_path: Path) -> None:
    path = recipe_files.qm9(tmp_path)
    content = bz2.decompress(path.read_bytes()).replace(b"3\ngdb 5", b"9\ngdb 5")
    path.write_bytes(bz2.compress(content))
    with pytest.raises(DataError, match=r"tar.bz2#4 cannot be read.*dsgdb9nsd_000005.xyz has no 9"):
        list(qm9.read(tmp_path))


def test_frames_of_rmd17_are_those_of_its_splits_in_eV(tmp_path: Path) -> None:
    path = recipe_files.rmd17(tmp_path)
    samples = list(rmd17.read(tmp_path))
    assert [one.source for one in samples] == [f"ethanol#{frame}" for frame in range(9)]
    with np.load(path) as arrays:
        forces = arrays["forces"][4] * KCAL_eV
    fifth = samples[4]
    assert fifth.atomic_numbers.tolist() == [6, 8]
    assert float(fifth.targets["energy"]) == pytest.approx(-96996.0 * KCAL_eV, rel=1e-6)
    assert np.allclose(fifth.targets["forces"], forces, rtol=1e-6)
    assert fifth.group == "ethanol"


def test_splits_of_rmd17_are_the_published_ones(tmp_path: Path) -> None:
    recipe_files.rmd17(tmp_path)
    folds = rmd17.read_folds(tmp_path, list(rmd17.read(tmp_path)))
    assert [fold.name for fold in folds] == [f"split {number}" for number in range(1, 6)]
    assert folds[1].train == {"ethanol#1", "ethanol#2", "ethanol#3"}
    assert folds[1].test == {"ethanol#4", "ethanol#5"}


def test_a_split_of_longer_files_is_refused(tmp_path: Path) -> None:
    recipe_files.rmd17(tmp_path)
    (tmp_path / "rmd17/splits/index_test_05.csv").write_text("7\n12\n")
    with pytest.raises(DataError, match=r"rmd17_ethanol.npz#0.*frame 12, the file has 12"):
        list(rmd17.read(tmp_path))


def test_energies_of_wiggle150_are_above_the_ground_state(tmp_path: Path) -> None:
    recipe_files.wiggle150(tmp_path)
    samples = list(wiggle150.read(tmp_path))
    assert [one.source for one in samples[:2]] == ["ado_00", "ado_01"]
    energies = [float(one.targets["energy"]) for one in samples]
    expected = np.tile([0.0, 10.0, 20.0, 30.0], 2) * KCAL_eV
    assert np.allclose(energies, expected, rtol=1e-6)
    assert {one.group for one in samples} == {"ado", "efa"}


def test_a_molecule_without_its_ground_state_is_named(tmp_path: Path) -> None:
    path = recipe_files.wiggle150(tmp_path)
    path.write_text(path.read_text().replace("efa_00", "efa_09"))
    with pytest.raises(DataError, match="efa_09 has no ground state efa_00"):
        list(wiggle150.read(tmp_path))


def test_a_system_of_ms25_is_tested_on_its_test_file(tmp_path: Path) -> None:
    recipe_files.ms25(tmp_path)
    samples = list(ms25.read(tmp_path))
    assert [len(fold.train) for fold in ms25.read_folds(tmp_path, samples)] == [6]
    (fold,) = ms25.read_folds(tmp_path, samples)
    assert fold.test == {f"test.traj#{number}" for number in range(3)}
    assert float(samples[1].targets["energy"]) == -11.0
    assert samples[1].targets["forces"].tolist() == [[0.5] * 3] * 2


def test_the_folder_of_all_systems_of_ms25_is_refused(tmp_path: Path) -> None:
    recipe_files.ms25(tmp_path / "HEA")
    with pytest.raises(DataError, match="give the folder of one system"):
        list(ms25.read(tmp_path))


def test_an_entry_of_oqmd_is_a_crystal_in_angstrom(tmp_path: Path) -> None:
    recipe_files.oqmd(tmp_path)
    second = list(oqmd.read(tmp_path))[1]
    assert second.source == "oqmd-4061140"
    # (0.5, 0.5, 0.25) of the rows (4, 0, 0), (1, 3, 0), (0, 0.5, 5)
    assert second.positions[1].tolist() == [2.5, 1.625, 1.25]
    assert float(second.targets["formation_energy"]) == -1.625


def test_the_table_of_oqmd_chooses_entries_and_their_energies(tmp_path: Path) -> None:
    recipe_files.oqmd(tmp_path)
    (tmp_path / "oqmd_data.csv").write_text("entry_id,Ef\n4061141,-2.5\n1,0.0\n")
    (only,) = oqmd.read(tmp_path)
    assert (only.source, float(only.targets["formation_energy"])) == ("oqmd-4061141", -2.5)


def test_a_site_of_oqmd_that_is_none_is_named(tmp_path: Path) -> None:
    path = recipe_files.oqmd(tmp_path)
    path.write_text(path.read_text().replace("Cl @ 0.5", "Xx @ 0.5", 1))
    with pytest.raises(DataError, match=r"oqmd_000000.json#0 cannot be read.*'Xx @ 0.5 0.5 0.25'"):
        list(oqmd.read(tmp_path))


def test_a_document_without_a_band_gap_has_no_such_label(tmp_path: Path) -> None:
    recipe_files.materials_project(tmp_path)
    samples = list(materials_project.read(tmp_path))
    assert samples[3].source == "mp-3"
    assert {k: float(v) for k, v in samples[3].targets.items()} == {
        "formation_energy": -0.75,
        "band_gap": 1.5,
    }
    assert list(samples[-1].targets) == ["formation_energy"]


def test_compounds_of_abc3_need_energy_and_structure(tmp_path: Path) -> None:
    recipe_files.abc3(tmp_path)
    samples = list(abc3.read(tmp_path))
    assert [one.source for one in samples] == [f"mp-{number}" for number in range(6)]
    assert float(samples[2].targets["formation_energy"]) == -1.25
