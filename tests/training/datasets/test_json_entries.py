"""Alexandria and MPtrj: crystals in JSON, in eV and Å, with tension positive."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from tests.made.public_files_h5_json import (
    FORCES,
    STRESS_KBAR,
    alexandria,
    mptrj,
    structure,
)
from training.datasets.alexandria import ALEXANDRIA
from training.datasets.mptrj import MPTRJ
from training.datasets.readers.pymatgen_structure import sample_of_structure

TENSION = -np.array(STRESS_KBAR) / 1602.176634
"""1 eV/Å³ is 1602.176634 kbar (the elementary charge); VASP prints compression positive."""
POSITIONS = [[0.0, 0.0, 0.0], [2.5, 1.625, 1.25]]
"""(a + b)/2 + c/4 of the lattice is (2 + 0.5, 1.5 + 0.125, 1.25)."""


def test_an_alexandria_crystal_has_its_total_energy_and_not_that_per_atom(tmp_path: Path) -> None:
    crystals, _ = ALEXANDRIA.files(alexandria(tmp_path))
    first, second = ALEXANDRIA.read(crystals)
    assert first.targets["energy"] == -6.75
    assert first.targets["forces"] == pytest.approx(np.array(FORCES))
    assert first.targets["stress"] == pytest.approx(TENSION, rel=1e-7)
    assert first.atomic_numbers.tolist() == [11, 17]
    assert first.positions == pytest.approx(np.array(POSITIONS))
    assert first.cell.tolist() == [[4.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.5, 5.0]]
    assert first.pbc.all()
    assert (first.group, first.source) == ("agm001", "alexandria_000.json.bz2#0")
    assert "stress" not in second.targets


def test_an_alexandria_layer_has_no_stress_and_unknown_forces_are_no_label(tmp_path: Path) -> None:
    _, layers = ALEXANDRIA.files(alexandria(tmp_path))
    (layer,) = ALEXANDRIA.read(layers)
    assert layer.pbc.tolist() == [True, True, False]
    assert set(layer.targets) == {"energy"}


def test_files_that_repeat_alexandria_or_are_of_other_theory_are_not_read(tmp_path: Path) -> None:
    names = [path.name for path in ALEXANDRIA.files(alexandria(tmp_path))]
    assert names == ["alexandria_000.json.bz2", "alexandria_2d_000.json.bz2"]


def test_mptrj_frames_have_corrected_energies_and_the_group_of_their_material(
    tmp_path: Path,
) -> None:
    (path,) = MPTRJ.files(mptrj(tmp_path))
    first, second, third = MPTRJ.read(path)
    assert [float(sample.targets["energy"]) for sample in (first, second)] == [-7.25, -7.5]
    assert [sample.group for sample in (first, second, third)] == ["mp-22862", "mp-22862", "mp-30"]
    assert first.targets["stress"] == pytest.approx(TENSION, rel=1e-7)
    assert first.targets["forces"] == pytest.approx(np.array(FORCES))
    assert first.positions == pytest.approx(np.array(POSITIONS))
    assert first.pbc.all()
    assert set(third.targets) == {"energy", "forces"}


def test_a_compressed_mptrj_is_the_same_and_can_be_read_from_any_record(tmp_path: Path) -> None:
    (path,) = MPTRJ.files(mptrj(tmp_path))
    packed = path.with_name("MPtrj_2022.9_full.json.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (last,) = MPTRJ.read(packed, 2, 5)
    assert last.source == "MPtrj_2022.9_full.json.gz#2"
    assert MPTRJ.count(packed) == MPTRJ.count(path) == 3


def test_mptrj_is_not_taken_twice_in_two_forms(tmp_path: Path) -> None:
    (path,) = MPTRJ.files(mptrj(tmp_path))
    path.with_suffix(".json.gz").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"same structures of mptrj more than once: .*json\.gz"):
        MPTRJ.files(tmp_path)


def test_json_that_is_cut_off_is_named_with_the_record_it_breaks_in(tmp_path: Path) -> None:
    (path,) = MPTRJ.files(mptrj(tmp_path))
    path.write_bytes(path.read_bytes()[:-200])
    samples = MPTRJ.read(path)
    assert [next(samples).source[-1] for _ in range(2)] == ["0", "1"]
    with pytest.raises(DataError, match=r"MPtrj_2022\.9_full\.json#2 cannot be read: Incomplete"):
        next(samples)


def test_a_compressed_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = ALEXANDRIA.files(alexandria(tmp_path))[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"alexandria_000\.json\.bz2#\d cannot be read: EOFError"):
        list(ALEXANDRIA.read(path))
    with pytest.raises(DataError, match=r"alexandria_000\.json\.bz2 cannot be read"):
        ALEXANDRIA.count(path)


@pytest.mark.parametrize("content", [{}, {"entries": []}, [1, 2]])
def test_json_without_entries_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "alexandria_000.json.bz2"
    path.write_bytes(bz2.compress(json.dumps(content).encode()))
    with pytest.raises(DataError, match='nothing in a list "entries"'):
        ALEXANDRIA.count(path)


def test_a_label_of_the_wrong_length_names_the_record(tmp_path: Path) -> None:
    (path,) = MPTRJ.files(mptrj(tmp_path))
    content = json.loads(path.read_text())
    content["mp-30"]["mp-30-0-0"]["force"] = FORCES[:1]
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"json#2 cannot be read: .*forces has 3 numbers"):
        list(MPTRJ.read(path))


def test_a_site_shared_by_species_is_refused() -> None:
    mixed = structure()
    mixed["sites"][0]["species"] = [{"element": "Na", "occu": 0.5}, {"element": "K", "occu": 0.5}]
    with pytest.raises(DataError, match="only ordered structures"):
        sample_of_structure(mixed)
