"""Candidates made from others: as many as promised, the same from any place, with stable ids."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.data import covalent_radii

from atomfm_calc.errors import ConfigError, UnknownNameError
from atomfm_calc.screening.campaign import (
    DecoratedPrototypes,
    RattledStructures,
    SubstitutedStructures,
)
from atomfm_calc.screening.fingerprint import fingerprints
from atomfm_calc.screening.graphs import list_block
from atomfm_calc.screening.modified import DecoratedSource, RattledSource, SubstitutedSource
from atomfm_calc.screening.prototypes import PROTOTYPES

SITES = ("Na", "Ca"), ("Cl", "Br", "Ti"), ("O", "S")


def _decorated(*prototypes: str) -> DecoratedSource:
    return DecoratedSource(
        DecoratedPrototypes(kind="decorate", prototypes=prototypes, elements=SITES)
    )


def test_every_choice_of_elements_is_there_once() -> None:
    source = _decorated("rock-salt", "perovskite")
    block = source.read(0, source.n_candidates)
    assert source.n_candidates == 2 * 3 + 2 * 3 * 2
    assert len(set(block.names)) == source.n_candidates
    assert block.names[7] == source.read(7, 8).names[0] == "perovskite-Na-Cl-S"


@pytest.mark.parametrize("name", PROTOTYPES)
def test_nearest_atoms_are_as_far_apart_as_their_radii(name: str) -> None:
    crystal = PROTOTYPES[name].crystal(("Na", "Ti", "O"))
    distances = crystal.repeat(3).get_all_distances(mic=True)
    numbers = crystal.repeat(3).numbers
    sums = covalent_radii[numbers][:, None] + covalent_radii[numbers][None, :]
    ratio = (distances / sums)[~np.eye(len(numbers), dtype=bool)]
    assert ratio.min() == pytest.approx(1.0)


def test_decorated_crystals_have_the_prototype_of_their_name() -> None:
    listed = list_block(_decorated("rock-salt").read(0, 6), 6.0, 0.3)
    assert fingerprints(listed)[0] == "AB|A:B6|B:A6"


def test_prototypes_and_lists_of_elements_must_fit() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rock-salt'"):
        _decorated("rocksalt")
    with pytest.raises(ConfigError, match="has 3 kinds of sites; elements lists 1"):
        DecoratedSource(
            DecoratedPrototypes(kind="decorate", prototypes=("perovskite",), elements=(("Na",),))
        )


def _file(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "base.extxyz"
    ase.io.write(path, [bulk("NaCl", "rocksalt", a=5.64), molecule("H2O")])
    return (str(path),)


def test_elements_are_exchanged_and_the_cell_follows_their_radii(tmp_path: Path) -> None:
    rules = ({"Na": "K"}, {"Na": "K", "Cl": "Br"})
    source = SubstitutedSource(
        SubstitutedStructures(kind="substitute", paths=_file(tmp_path), substitutions=rules)
    )
    block = source.read(0, source.n_candidates)
    assert block.atoms(1).get_chemical_formula() == "BrK"
    assert block.names[1].endswith("#0|Na>K,Cl>Br")
    assert np.linalg.det(block.cell[1]) > np.linalg.det(block.cell[0]) > 5.64**3 / 4
    assert [rejection.index for rejection in block.rejected] == [2, 3]  # water has no sodium


def test_rattled_copies_differ_but_each_is_always_the_same(tmp_path: Path) -> None:
    settings = RattledStructures(
        kind="rattle", paths=_file(tmp_path), copies=3, displacement=0.1, strain=0.02
    )
    source = RattledSource(settings)
    block, again = source.read(0, 6), source.read(4, 5)
    assert np.array_equal(block.atoms(4).positions, again.atoms(0).positions)
    assert not np.allclose(block.atoms(3).positions, again.atoms(0).positions)
    assert not np.allclose(block.cell[0], block.cell[1])
    assert block.names[5].endswith("#1~2")
