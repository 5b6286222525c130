"""Structures that nothing can be computed for: each has its own message."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import InputError, PropertyNotImplementedError

from atomfm_calc.calculators.checks import check_structure, check_structures
from atomfm_calc.errors import (
    InsufficientMemoryError,
    NonFiniteError,
    PropertyError,
    StructureError,
    UnsupportedElementError,
)
from tests.atomfm_calc.calculators.conftest import Make


def test_a_structure_without_atoms_is_refused(make_calc: Make) -> None:
    with pytest.raises(StructureError, match="no atoms"):
        make_calc().get_potential_energy(Atoms())


def test_positions_that_are_not_finite_are_refused(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.positions[4, 1] = np.nan
    with pytest.raises(StructureError, match="the first is atom 4"):
        make_calc().get_forces(ethanol)


def test_overlapping_atoms_are_named(make_calc: Make, ethanol: Atoms) -> None:
    ethanol.positions[5] = ethanol.positions[1] + [0.0, 0.0, 0.1]
    with pytest.raises(StructureError, match=r"atoms 1 \(C\) and 5 \(H\) overlap: 0.100 Å"):
        make_calc().get_forces(ethanol)


def test_an_atom_that_overlaps_with_its_own_image_is_refused(make_calc: Make) -> None:
    thin = Atoms("Cu", cell=(3.0, 3.0, 0.2), pbc=True)
    with pytest.raises(StructureError, match="the cell too small"):
        make_calc().get_forces(thin)


@pytest.mark.parametrize("cell", [np.zeros(3), [(3, 0, 0), (0, 3, 0), (3, 3, 0)]])
def test_a_periodic_cell_without_volume_is_refused(make_calc: Make, cell: object) -> None:
    with pytest.raises(StructureError, match="span no volume"):
        make_calc().get_forces(Atoms("Cu", cell=cell, pbc=True))


def test_a_dummy_atom_is_refused(make_calc: Make) -> None:
    with pytest.raises(StructureError, match="atomic number 0"):
        make_calc().get_forces(Atoms("XCu", [(0, 0, 0), (0, 0, 3)]))


def test_many_structures_at_once_are_refused_for_the_same_reasons(ethanol: Atoms) -> None:
    broken = ethanol.copy()
    broken.positions[4, 1] = np.nan
    cells = [(3, 3, 0.2), np.zeros(3), (0.4, 0.4, 0.4), (3, np.inf, 3), (3, 3, 3)]
    crystals = [Atoms("Cu", cell=cell, pbc=True) for cell in cells]
    slab = Atoms("Cu", cell=[(3, 0, 0), (0, 3, 0), (np.nan, 0, 0)], pbc=(True, True, False))
    dummy = Atoms("XCu", [(0, 0, 0), (0, 0, 3)])
    structures = [ethanol, broken, *crystals, slab, dummy]
    for chosen in (structures, [*structures, Atoms()]):
        found = [str(error) for error in check_structures(chosen)]
        assert found == [_refusal(atoms) for atoms in chosen]
        assert found.count("None") == 4


def _refusal(atoms: Atoms) -> str:
    try:
        check_structure(atoms)
    except StructureError as error:
        return str(error)
    return "None"


def test_an_element_that_the_head_has_not_seen_is_refused_and_others_offered(
    make_calc: Make, salt: Atoms
) -> None:
    wanted = "head 'molecules' has seen no Cl, Na.*These heads cover them: crystals, everything"
    with pytest.raises(UnsupportedElementError, match=wanted) as caught:
        make_calc("molecules").get_potential_energy(salt)
    assert isinstance(caught.value, InputError)


def test_an_unseen_element_is_computed_when_allowed(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc("molecules", allow_unseen_elements=True)
    assert np.isfinite(calc.get_potential_energy(salt))


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_stress_needs_three_periodic_directions(make_calc: Make, salt: Atoms, pbc: object) -> None:
    salt.pbc = pbc
    with pytest.raises(PropertyError, match="periodic in three directions") as caught:
        make_calc().get_stress(salt)
    assert isinstance(caught.value, PropertyNotImplementedError)


def test_a_property_that_there_is_not_is_refused_as_ase_expects(
    make_calc: Make, salt: Atoms
) -> None:
    with pytest.raises(PropertyNotImplementedError):
        make_calc().get_property("dipole", salt)


def test_a_result_that_is_not_finite_is_an_error(make_calc: Make, salt: Atoms) -> None:
    calc = make_calc()
    head = calc._evaluator.model.head(calc.head)
    head.scale.fill_(torch.inf)
    with pytest.raises(NonFiniteError, match="energy.*not finite"):
        calc.get_forces(salt)
    assert not calc.results


@pytest.mark.parametrize(
    "failure",
    [torch.OutOfMemoryError(), MemoryError(), RuntimeError("can't allocate memory: 1 byte")],
    ids=["cuda", "python", "torch on cpu"],
)
def test_running_out_of_memory_says_how_large_the_structure_is(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    calc = make_calc()

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(calc._evaluator.model, "features", fail)
    with pytest.raises(
        InsufficientMemoryError, match=r"2 atoms with \d+ edges .* GiB.*free.* About 1 atoms"
    ):
        calc.get_forces(salt)


def test_another_error_is_not_taken_for_lack_of_memory(
    make_calc: Make, salt: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    calc = make_calc()

    def fail(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 differ")

    monkeypatch.setattr(calc._evaluator.model, "features", fail)
    with pytest.raises(RuntimeError, match=re.escape("mat1 and mat2 differ")):
        calc.get_forces(salt)
