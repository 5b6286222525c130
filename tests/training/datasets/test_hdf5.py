"""ANI-1x, QM7-X and Transition1x: molecules in HDF5, each structure once, in eV and Å."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from atomfm_calc.errors import DataError
from tests.made.public_files_h5_json import POSITIONS, ani1x, qm7x, transition1x
from training.datasets.ani1x import ANI1X
from training.datasets.qm7x import QM7X
from training.datasets.readers import hdf5
from training.datasets.transition1x import TRANSITION1X

HARTREE = 27.211386245988
"""eV; editions of CODATA differ in the eighth digit."""


def test_ani1x_is_converted_from_hartree_and_grouped_by_formula(tmp_path: Path) -> None:
    (path,) = ANI1X.files(ani1x(tmp_path))
    atom, water, *_ = ANI1X.read(path)
    assert (atom.group, water.group, water.source) == ("H1", "H2O1", "ani1x-release.h5#1")
    assert water.atomic_numbers.tolist() == [8, 1, 1]
    assert water.positions == pytest.approx(POSITIONS, abs=1e-6)  # stored as float32
    assert float(water.targets["energy"]) == pytest.approx(-76.0 * HARTREE, rel=1e-7)
    assert water.targets["forces"] == pytest.approx(np.full((3, 3), 0.5 * HARTREE), rel=1e-7)
    assert not water.pbc.any()


def test_what_is_nan_in_ani1x_is_a_sample_without_that_label(tmp_path: Path) -> None:
    (path,) = ANI1X.files(ani1x(tmp_path))
    labels = [set(sample.targets) for sample in ANI1X.read(path)]
    assert labels == [{"energy", "forces"}, {"energy", "forces"}, {"energy"}, set()]


def test_qm7x_has_energy_and_forces_with_dispersion(tmp_path: Path) -> None:
    first, _ = QM7X.files(qm7x(tmp_path))
    displaced, relaxed, other = QM7X.read(first)
    assert float(displaced.targets["energy"]) == -2079.75
    assert displaced.targets["forces"].tolist() == [[0.125] * 3] * 3
    assert relaxed.positions == pytest.approx(POSITIONS + 1)
    assert {sample.group for sample in (displaced, relaxed, other)} == {"23"}


def test_listed_duplicates_of_qm7x_are_left_out_with_their_displacements(tmp_path: Path) -> None:
    _, second = QM7X.files(qm7x(tmp_path))
    assert QM7X.count(second) == 1
    (kept,) = QM7X.read(second)
    assert float(kept.targets["energy"]) == -2079.75
    assert kept.source == "2000.hdf5#0"


def test_qm7x_is_not_read_without_the_list_of_duplicates(tmp_path: Path) -> None:
    first, _ = QM7X.files(qm7x(tmp_path))
    (tmp_path / "DupMols.dat").unlink()
    with pytest.raises(
        DataError, match=r"1000\.hdf5#0 .*DupMols\.dat.*structures come twice.*curl"
    ):
        list(QM7X.read(first))


def test_packed_files_of_qm7x_are_not_read_and_the_message_says_so(tmp_path: Path) -> None:
    (tmp_path / "1000.xz").touch()
    with pytest.raises(DataError, match=r"holds no .*1-8.*unpacked first"):
        QM7X.files(tmp_path)


def test_transition1x_gives_each_image_once_and_keeps_reactions_together(tmp_path: Path) -> None:
    (path,) = TRANSITION1X.files(transition1x(tmp_path))
    samples = list(TRANSITION1X.read(path))
    assert [float(sample.targets["energy"]) for sample in samples] == [
        -2080.0, -2079.0, -2078.0, -2080.0, -2079.0,
    ]  # fmt: skip
    assert samples[2].positions == pytest.approx(POSITIONS + 2)
    assert samples[2].targets["forces"].tolist() == [[1.0] * 3] * 3
    assert [sample.group for sample in samples[2:4]] == ["H2O/rxn0001", "H2O/rxn0002"]


@pytest.mark.parametrize("block_rows", [1, 2, 512])
def test_any_range_of_records_is_a_part_of_all(
    tmp_path: Path, block_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "BLOCK_ROWS", block_rows)
    (path,) = TRANSITION1X.files(transition1x(tmp_path))
    sources = [sample.source for sample in TRANSITION1X.read(path)]
    assert len(sources) == TRANSITION1X.count(path) == 5
    for start in range(7):
        for stop in (*range(start, 7), None):
            part = [sample.source for sample in TRANSITION1X.read(path, start, stop)]
            assert part == sources[start:stop]


def test_an_hdf5_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    (path,) = ANI1X.files(ani1x(tmp_path))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"ani1x-release\.h5 cannot be read: OSError.*truncated"):
        ANI1X.count(path)
    with pytest.raises(DataError, match=r"ani1x-release\.h5#0 cannot be read"):
        list(ANI1X.read(path))


def test_a_missing_array_is_named_with_record_group_and_what_there_is(tmp_path: Path) -> None:
    (path,) = ANI1X.files(ani1x(tmp_path))
    with h5py.File(path, "a") as file:
        del file["H2O1/wb97x_dz.forces"]
    with pytest.raises(DataError, match=r"h5#1 .*group H2O1 has no wb97x_dz\.forces; it has: ato"):
        list(ANI1X.read(path))


def test_arrays_of_different_length_are_refused(tmp_path: Path) -> None:
    (path,) = TRANSITION1X.files(transition1x(tmp_path))
    with h5py.File(path, "a") as file:
        del file["data/H2O/rxn0002/positions"]
        file["data/H2O/rxn0002/positions"] = POSITIONS[None]
    with pytest.raises(DataError, match=r"h5#3 .*H2O/rxn0002 differ in length: .*positions': 1"):
        list(TRANSITION1X.read(path))


def test_a_file_of_another_layout_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "Transition1x.h5"
    with h5py.File(path, "w") as file:
        file["train/H2O"] = np.zeros(3)
    with pytest.raises(DataError, match="no group 'data'; the file has: train"):
        TRANSITION1X.count(path)
