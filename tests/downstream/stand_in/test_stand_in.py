"""Stand-ins: their files hold what their makers make, and are read as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from atomfm_calc.errors import DataError, UnknownNameError
from downstream.readers.extxyz_values import read_potential, read_values
from downstream.stand_in import stand_in_path
from downstream.stand_in.frame import LabeledFrame, write_frames
from downstream.stand_in.metals import alloys, disordered_alloy, hill_moduli


def _frame(number: int, **info: float | str) -> LabeledFrame:
    return LabeledFrame(
        atoms=Atoms("CO", [[0, 0, 0], [0, 0, 1.1 + number]], cell=[5, 6, 7], pbc=True),
        labels={
            "energy": np.asarray(-1.5),
            "forces": np.array([[0.0, 0.0, 0.25], [0.0, 0.0, -0.25]]),
            "stress": np.diag([0.1, 0.2, 0.3]),
        },
        info=info,
        source=f"made/{number}",
    )


def test_a_frame_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz.gz"
    assert write_frames(path, [_frame(0, group="pair"), _frame(1, group="pair")]) == 2
    first, second = read_potential(path, ("energy", "forces", "stress"))
    assert (first.source, first.group) == ("made/0", "pair")
    assert second.positions.tolist() == [[0.0, 0.0, 0.0], [0.0, 0.0, 2.1]]
    assert np.array_equal(np.diag(first.cell), [5, 6, 7])
    assert float(first.targets["energy"]) == -1.5
    assert first.targets["forces"].tolist() == [[0.0, 0.0, 0.25], [0.0, 0.0, -0.25]]
    assert first.targets["stress"].tolist() == np.diag([0.1, 0.2, 0.3]).tolist()


def test_equal_frames_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one.extxyz.gz", "other.extxyz.gz"):
        write_frames(tmp_path / name, [_frame(0)])
    assert (tmp_path / "one.extxyz.gz").read_bytes() == (tmp_path / "other.extxyz.gz").read_bytes()


def test_a_structure_without_the_value_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz.gz"
    write_frames(path, [_frame(0, gap=1.5), _frame(1), _frame(2, gap=2.0)])
    samples = list(read_values(path, {"band_gap": "gap"}, {"band_gap": 10.0}))
    assert [float(one.targets["band_gap"]) for one in samples] == [15.0, 20.0]
    assert [one.source for one in samples] == ["made/0", "made/2"]


def test_a_frame_without_forces_is_named(tmp_path: Path) -> None:
    path = tmp_path / "frames.extxyz.gz"
    bare = LabeledFrame(atoms=Atoms("He"), labels={"energy": np.asarray(0.0)}, source="made/1")
    write_frames(path, [_frame(0), bare])
    with pytest.raises(DataError, match=r"frames.extxyz.gz#1 cannot be read.*no REF_forces"):
        list(read_potential(path, ("energy", "forces")))


def test_a_stand_in_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UnknownNameError, match="no stand-in 'alloy'.*'alloys'"):
        stand_in_path("alloy")


def test_moduli_of_an_isotropic_solid_are_its_own() -> None:
    # C11 = 3, C12 = 1, C44 = (C11 - C12) / 2 = 1: K = (C11 + 2 C12) / 3 = 5/3, G = C44
    stiffness = np.diag([2.0] * 3 + [1.0] * 3)
    stiffness[:3, :3] += 1.0
    assert hill_moduli(stiffness) == pytest.approx((5.0 / 3.0, 1.0))


def test_the_file_of_alloys_begins_with_what_is_made_today(tmp_path: Path) -> None:
    path = tmp_path / "alloys.extxyz.gz"
    write_frames(path, [next(alloys())])
    columns = {name: name for name in ("log_kvrh", "log_gvrh", "last_phonon_peak")}
    made, stored = (
        next(read_values(path, columns)),
        next(read_values(stand_in_path("alloys"), columns)),
    )
    assert made.source == stored.source == "alloy/Al"
    assert np.allclose(made.cell, stored.cell, atol=2e-5)
    for name in columns:
        assert float(made.targets[name]) == pytest.approx(float(stored.targets[name]), rel=2e-3)


def test_the_file_of_the_disordered_alloy_begins_with_what_is_made_today(tmp_path: Path) -> None:
    path = tmp_path / "alloy.extxyz.gz"
    write_frames(path, disordered_alloy(1))
    labels = ("energy", "forces", "stress")
    (made,) = read_potential(path, labels)
    stored = next(read_potential(stand_in_path("disordered-alloy"), labels))
    assert made.atomic_numbers.tolist() == stored.atomic_numbers.tolist()
    for name in labels:
        assert np.allclose(made.targets[name], stored.targets[name], atol=2e-5)
