"""OMol25, its two halves by charge, and OPoly26: charge and multiplicity with every molecule."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomfm_calc.errors import DataError
from tests.made import public_files_ase as made
from training.datasets import DATASETS

OMOL25 = DATASETS["omol25"]


def test_molecules_have_their_charge_and_multiplicity(tmp_path: Path) -> None:
    train, validation = OMOL25.files(made.write_omol25(tmp_path))
    samples = list(OMOL25.read(train))
    assert [(one.charge, one.multiplicity) for one in samples] == [(0, 2), (-1, 1), (1, 3)]
    for number, sample in enumerate(samples):
        assert sample.atomic_numbers.tolist() == [8, 1]
        assert sample.positions == pytest.approx(made.POSITIONS[1:] + number)
        assert not sample.pbc.any()
        assert not sample.cell.any()
        assert sample.targets["energy"] == pytest.approx(-181.54722937 - number, abs=1e-12)
        assert sample.targets["forces"] == pytest.approx(made.FORCES[1:] + number)
    assert OMOL25.published_split(train) == "train"
    assert OMOL25.published_split(validation) == "validation"


@pytest.mark.parametrize(
    ("name", "numbers"), [("omol25-neutral", [0]), ("omol25-non-neutral", [1, 2])]
)
def test_a_half_keeps_the_numbers_of_its_records(
    name: str, numbers: list[int], tmp_path: Path
) -> None:
    path = DATASETS[name].files(made.write_omol25(tmp_path))[0]
    samples = list(DATASETS[name].read(path))
    assert [int(sample.source.rpartition("#")[2]) for sample in samples] == numbers
    assert {sample.charge == 0 for sample in samples} == {name == "omol25-neutral"}
    assert DATASETS[name].count(path) == 3


@pytest.mark.parametrize("key", ["charge", "spin"])
def test_a_molecule_without_charge_or_spin_is_no_neutral_singlet(key: str, tmp_path: Path) -> None:
    row = made.molecule_row(0, 0, 2)
    del row["data"][key]
    made.write_aselmdb(tmp_path / "a.aselmdb", [made.molecule_row(1, 0, 2), row])
    for name in ("omol25", "omol25-neutral", "omol25-non-neutral"):
        with pytest.raises(DataError, match=rf"a\.aselmdb#1 cannot be read.*not say its {key}"):
            list(DATASETS[name].read(tmp_path / "a.aselmdb"))


@pytest.mark.parametrize("spin", [0, 1, 3])
def test_a_multiplicity_that_the_electrons_cannot_have_is_refused(
    spin: int, tmp_path: Path
) -> None:
    made.write_aselmdb(tmp_path / "a.aselmdb", [made.molecule_row(0, 0, spin)])
    with pytest.raises(DataError, match=f"9 electrons .*cannot have the multiplicity {spin}"):
        list(OMOL25.read(tmp_path / "a.aselmdb"))


def test_a_charge_that_is_no_whole_number_is_refused(tmp_path: Path) -> None:
    row = made.molecule_row(0, 0, 2)
    row["data"]["charge"] = 0.5
    made.write_aselmdb(tmp_path / "a.aselmdb", [row])
    with pytest.raises(DataError, match=r"charge is 0\.5; it must be one whole number"):
        list(OMOL25.read(tmp_path / "a.aselmdb"))


def test_a_record_of_the_test_set_has_no_labels_and_is_refused(tmp_path: Path) -> None:
    made.write_aselmdb(
        tmp_path / "a.aselmdb", [made.molecule_row(0, 0, 2) | {"energy": None, "forces": None}]
    )
    with pytest.raises(DataError, match="has no energy, forces, which every labeled one has"):
        list(OMOL25.read(tmp_path / "a.aselmdb"))


def test_a_set_and_a_selection_of_it_are_refused_together(tmp_path: Path) -> None:
    root = made.write_omol25(tmp_path)
    made.write_aselmdb(
        root / "omol25" / "neutral_train" / "data0000.aselmdb", [made.molecule_row(0, 0, 2)]
    )
    with pytest.raises(DataError, match="more than once: train_4M, neutral_train; keep one of"):
        OMOL25.files(root)


def test_polymers_are_read_with_charge_and_split(tmp_path: Path) -> None:
    dataset = DATASETS["opoly2026"]
    train, validation = dataset.files(made.write_opoly2026(tmp_path))
    (ion,), (radical,) = dataset.read(train), dataset.read(validation)
    assert (ion.charge, ion.multiplicity) == (-1, 1)
    assert (radical.charge, radical.multiplicity) == (0, 2)
    assert radical.targets["forces"] == pytest.approx(made.FORCES[1:] + 1)
    splits = (dataset.published_split(train), dataset.published_split(validation))
    assert splits == ("train", "validation")
