"""Assembled molecules, pulled bonds and heat that is the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import molecule

from atomfm_calc.errors import DataError

pytest.importorskip("rdkit")

from training.collection.generators import displace
from training.collection.generators.assembled import CENTERS, assemble, generate_assembled
from training.collection.generators.build import electrons_are_odd
from training.collection.generators.coordination import LIGANDS, METALS, generate_coordination
from training.collection.generators.molecules import conformer, formal_charge


def test_assembled_molecules_are_neutral_small_and_mostly_different() -> None:
    names = [assemble(3, number, max_heavy_atoms=6) for number in range(20)]
    assert len(set(names)) >= 16
    assert [assemble(3, number, max_heavy_atoms=6) for number in range(3)] == names[:3]
    for name in names:
        assert formal_charge(name) == 0
        assert (conformer(name, 0).numbers > 1).sum() <= 6


def test_substituents_keep_their_hydrogens() -> None:
    names = [assemble(8, number) for number in range(40)]
    organic = [name for name in names if not any(f"[{symbol}]" in name for symbol in CENTERS)]
    assert len(organic) >= 15
    assert not any(electrons_are_odd(conformer(name, 0)) for name in organic)


def test_a_molecule_that_cannot_be_small_enough_is_refused() -> None:
    with pytest.raises(DataError, match="at most 0 heavy atoms.*allow more"):
        assemble(3, 0, max_heavy_atoms=0)


def test_consecutive_structures_share_a_molecule() -> None:
    samples = [generate_assembled(2, index, per_molecule=3, max_heavy_atoms=5) for index in (3, 5)]
    first, last = (sample.source.split("/")[1] for sample in samples)
    assert first == last
    assert not np.array_equal(samples[0].positions, samples[1].positions)


def test_a_pulled_bond_moves_what_hangs_on_it() -> None:
    ethane = molecule("C2H6")
    pulled = displace.pull_bond(ethane, np.random.default_rng(4))
    shift = pulled.positions - ethane.positions
    moved = np.linalg.norm(shift, axis=1) > 1e-6
    assert 0 < moved.sum() < len(ethane)
    assert np.allclose(shift[moved], shift[moved][0])


def test_portable_heat_does_not_depend_on_the_choice_of_equal_modes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ethane = molecule("C2H6")
    once = displace.heat(ethane, 500.0, np.random.default_rng(1), is_portable=True)
    eigh = np.linalg.eigh

    def mixed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, modes = eigh(matrix)
        turn, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 6)))
        # the six modes of no energy are translations and rotations
        return values, np.hstack([modes[:, :6] @ turn, modes[:, 6:]])

    monkeypatch.setattr(np.linalg, "eigh", mixed)
    again = displace.heat(ethane, 500.0, np.random.default_rng(1), is_portable=True)
    assert np.allclose(once.positions, again.positions, atol=1e-12)


@pytest.mark.parametrize("name", LIGANDS)
def test_ligands_bind_by_an_atom_that_can(name: str) -> None:
    donor = conformer(name, 0)[LIGANDS[name]].symbol
    assert donor in ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
    assert donor != "C" or name in ("[C-]#[O+]", "[C-]#N", "[CH3-]", "C=C")


def test_metals_come_in_turn() -> None:
    samples = [generate_coordination(6, index) for index in range(len(METALS))]
    assert sorted(int(sample.atomic_numbers[0]) for sample in samples) == sorted(METALS)
