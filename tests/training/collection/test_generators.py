"""Every generator: the same bits each time, sane structures, text that gives the bits back."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from atomfm_calc.sample import Sample, check_sample

pytest.importorskip("rdkit")

from training.collection.generators import GENERATORS
from training.collection.generators.build import pick
from training.collection.generators.prototypes import CRYSTALS, primitive_crystal
from training.collection.generators.supercell import cell_heights, smallest_supercell

OPTIONS = {"water-box": {"n_sweeps": 5}, "assembled": {"per_molecule": 1}}
"""Less packing than for labels, to save time; a new molecule for every index."""
PERIODIC = ("common-crystal", "decorated-crystal", "slab", "water-box", "alcohol-box")


def _make(name: str, seed: int, index: int) -> Sample:
    return GENERATORS[name](seed, index, **OPTIONS.get(name, {}))


def _contacts(sample: Sample) -> np.ndarray:
    """Distances in sums of covalent radii."""
    atoms = Atoms(sample.atomic_numbers, sample.positions, cell=sample.cell, pbc=sample.pbc)
    first, second, lengths = neighbor_list("ijd", atoms, 3.0)
    radii = covalent_radii[atoms.numbers]
    return np.asarray(lengths / (radii[first] + radii[second]))


@pytest.mark.parametrize("name", GENERATORS)
def test_a_structure_depends_on_seed_and_index_alone(name: str) -> None:
    once, other = _make(name, 5, 3), _make(name, 5, 4)
    again = _make(name, 5, 3)
    assert np.array_equal(once.positions, again.positions)
    assert np.array_equal(once.cell, again.cell)
    assert once.source == again.source != other.source


@pytest.mark.parametrize("name", GENERATORS)
def test_structures_are_sane_and_survive_eight_decimals(name: str) -> None:
    for index in range(2):
        sample = _make(name, 9, index)
        check_sample(sample)
        assert " " not in sample.source
        text = [[f"{value:.8f}" for value in row] for row in sample.positions]
        assert np.array_equal(np.array(text, dtype=float), sample.positions)
        assert _contacts(sample).min(initial=1.0) > 0.4


@pytest.mark.parametrize("name", PERIODIC)
def test_periodic_cells_are_high_enough_for_one_k_point(name: str) -> None:
    for index in range(2):
        assert cell_heights(_make(name, 2, index).cell).min() >= 8.0


@pytest.mark.parametrize("name", [name for name in GENERATORS if name not in PERIODIC])
def test_the_multiplicity_fits_the_number_of_electrons(name: str) -> None:
    for index in range(8):
        sample = _make(name, 4, index)
        n_electrons = int(sample.atomic_numbers.sum()) - sample.charge
        assert n_electrons >= sample.multiplicity - 1
        if not sample.pbc.any():  # a unit cell has no parity
            assert (n_electrons - sample.multiplicity + 1) % 2 == 0


def test_the_supercell_of_a_cube_is_no_larger_than_needed() -> None:
    # 512 Å³ of silicon, 20.02 Å³ per atom, hold 25.6 atoms: 26 would be the ideal
    cell = primitive_crystal("diamond", ("Si",), 5.431)
    supercell = smallest_supercell(cell, 8.0)
    assert cell_heights(np.array(supercell.cell)).min() >= 8.0
    assert 26 <= len(supercell) <= 36
    assert supercell.get_volume() / len(supercell) == pytest.approx(cell.get_volume() / 2)


@pytest.mark.parametrize("name", CRYSTALS)
def test_common_crystals_have_the_bonds_of_their_elements(name: str) -> None:
    prototype, elements, a = CRYSTALS[name]
    atoms = primitive_crystal(prototype, elements, a)
    radii = covalent_radii[atoms.numbers]
    first, second, lengths = neighbor_list("ijd", atoms, 4.5)
    assert 0.8 < (lengths / (radii[first] + radii[second])).min() < 1.25


def test_choices_come_in_turn() -> None:
    assert sorted(pick(3, index, 7) for index in range(7)) == list(range(7))
    assert [pick(3, index, 7) for index in range(7)] != [
        pick(3, index, 7) for index in range(7, 14)
    ]
