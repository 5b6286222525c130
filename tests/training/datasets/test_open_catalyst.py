"""OC20, OC22 and OC25 hold what their files say, in eV and Å."""

from __future__ import annotations

import lzma
import pickle
from pathlib import Path

import lmdb
import numpy as np
import pytest

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample
from tests.made import public_files_ase as made
from training.datasets import DATASETS

OC20, OC22, OC25 = (DATASETS[name] for name in ("oc20", "oc22", "oc25"))


def _check_slab(sample: Sample, number: int) -> None:
    """Against the arrays that the miniatures are made of; frame `number` is shifted by it."""
    assert sample.atomic_numbers.tolist() == [29, 8, 1]
    assert sample.positions == pytest.approx(made.POSITIONS + number)
    assert sample.cell == pytest.approx(made.CELL)
    assert sample.pbc.tolist() == [True, True, True]
    assert sample.targets["energy"] == pytest.approx(-181.54722937 - number, abs=1e-12)
    assert sample.targets["forces"] == pytest.approx(made.FORCES + number)
    assert set(sample.targets) == {"energy", "forces"}
    assert (sample.charge, sample.multiplicity) == (0, 1)


def test_oc20_frames_keep_the_forces_on_fixed_atoms_and_their_system(tmp_path: Path) -> None:
    train, validation = OC20.files(made.write_oc20(tmp_path))
    samples = list(OC20.read(train))
    for number, sample in enumerate(samples):
        _check_slab(sample, number)
    assert [sample.group for sample in samples] == ["random12", "random12", "random3"]
    assert samples[2].source == "0.extxyz.xz#2"
    assert OC20.published_split(train) == "train"
    assert OC20.published_split(validation) == "validation"


def test_oc20_frames_out_of_the_domain_are_its_test_split() -> None:
    path = Path("data", "s2ef_val_ood_both", "s2ef_val_ood_both", "0.extxyz.xz")
    assert OC20.published_split(path) == "test"
    assert OC20.published_split(Path("s2ef_training", "0.extxyz.xz")) is None


def test_two_oc20_sets_of_which_one_holds_the_other_are_refused(tmp_path: Path) -> None:
    root = made.write_oc20(tmp_path)
    larger = root / "s2ef_train_2M" / "s2ef_train_2M"
    larger.mkdir(parents=True)
    (larger / "0.extxyz.xz").touch()
    with pytest.raises(DataError, match="more than once: s2ef_train_200K, s2ef_train_2M; keep"):
        OC20.files(root)


def test_a_missing_text_file_of_oc20_is_named(tmp_path: Path) -> None:
    path = OC20.files(made.write_oc20(tmp_path))[0]
    beside = path.with_name("0.txt.xz")
    beside.unlink()
    with pytest.raises(DataError, match=r"belongs to it is missing: .*0\.txt\.xz"):
        list(OC20.read(path))


def test_fewer_frames_than_lines_of_the_text_file_are_told(tmp_path: Path) -> None:
    path = OC20.files(made.write_oc20(tmp_path))[0]
    path.write_bytes(lzma.compress(made.extxyz_frame().encode()))
    with pytest.raises(DataError, match=r"#1 cannot be read.*ends after 1 frames.*has 3 lines"):
        list(OC20.read(path))


def test_a_damaged_frame_of_oc20_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = OC20.files(made.write_oc20(tmp_path))[0]
    text = lzma.decompress(path.read_bytes()).decode().replace("O 1.3", "O one")
    path.write_bytes(lzma.compress(text.encode()))
    with pytest.raises(DataError, match=r"0\.extxyz\.xz#1 cannot be read"):
        list(OC20.read(path))
    _check_slab(next(OC20.read(path, 2)), 2)


def test_an_oc20_frame_without_forces_is_no_sample(tmp_path: Path) -> None:
    path = OC20.files(made.write_oc20(tmp_path))[0]
    text = lzma.decompress(path.read_bytes()).decode().replace(":forces:R:3", ":moments:R:3")
    path.write_bytes(lzma.compress(text.encode()))
    with pytest.raises(DataError, match="#0 cannot be read.*has no forces"):
        list(OC20.read(path))


@pytest.mark.parametrize(("name", "instead"), [("oc20", "extxyz.xz"), ("oc22", "trajectories")])
def test_pickled_graphs_are_refused_with_the_reason(
    name: str, instead: str, tmp_path: Path
) -> None:
    (tmp_path / "data.0000.lmdb").touch()
    with pytest.raises(DataError, match=rf"a pickle runs whatever code.*take .*{instead}"):
        DATASETS[name].files(tmp_path)


def test_oc22_leaves_out_what_its_authors_left_out_and_keeps_the_numbers(tmp_path: Path) -> None:
    covered, clean = OC22.files(made.write_oc22(tmp_path))
    samples = list(OC22.read(clean))
    assert [sample.source.rpartition("#")[2] for sample in samples] == ["0", "2"]
    for number, sample in zip((0, 2), samples, strict=True):
        _check_slab(sample, number)
    assert {sample.group for sample in samples} == {"CuO_mp-1_clean_a1"}
    assert OC22.published_split(clean) == "train"
    assert OC22.published_split(covered) == "test"
    assert OC22.published_split(clean.with_name("other.traj")) is None


def test_oc25_rows_are_total_energies_without_constraints(tmp_path: Path) -> None:
    train, validation = OC25.files(made.write_oc25(tmp_path))
    for number, sample in enumerate(OC25.read(train)):
        _check_slab(sample, number)
    (held_out,) = OC25.read(validation)
    _check_slab(held_out, 2)
    assert (OC25.published_split(train), OC25.published_split(validation)) == (
        "train",
        "validation",
    )


def test_a_damaged_row_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = OC25.files(made.write_oc25(tmp_path))[0]
    with lmdb.open(str(path), subdir=False) as file, file.begin(write=True) as transaction:
        transaction.put(b"1", b"nothing that zlib has written")
    with pytest.raises(DataError, match=r"data0000\.aselmdb#0 cannot be read.*decompress"):
        list(OC25.read(path))
    _check_slab(next(OC25.read(path, 1)), 1)


def test_pickled_graphs_under_a_new_name_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "data0000.aselmdb"
    with lmdb.open(str(path), subdir=False) as file, file.begin(write=True) as transaction:
        transaction.put(b"length", pickle.dumps(np.array(1)))
    with pytest.raises(DataError, match=r"aselmdb#0 cannot be read.*a pickle runs whatever code"):
        list(OC25.read(path))
