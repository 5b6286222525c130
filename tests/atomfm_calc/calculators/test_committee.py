"""A committee is its members' mean, and tells how far they are apart."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.committee import CommitteeCalc
from atomfm_calc.errors import PropertyError, SetupError
from tests.made.models import HEADS, make_model_folder


@pytest.fixture
def members(tmp_path) -> list[FoundationCalc]:
    folders = [make_model_folder(tmp_path / str(seed), HEADS, seed=seed) for seed in range(3)]
    return [FoundationCalc(folder, head="everything", device="cpu") for folder in folders]


@pytest.fixture
def salt() -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.4)
    atoms.rattle(0.1, seed=1)
    return atoms


def test_results_are_means_and_deviations_of_the_members(
    members: list[FoundationCalc], salt: Atoms
) -> None:
    alone = []
    for member in members:
        salt.calc = member
        alone.append((salt.get_potential_energy(), salt.get_forces(), salt.get_stress()))
    energies, forces, stresses = (np.stack(column) for column in zip(*alone, strict=True))
    salt.calc = committee = CommitteeCalc(members)
    np.testing.assert_allclose(salt.get_forces(), forces.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(salt.get_stress(), stresses.mean(axis=0), atol=1e-6)
    assert salt.get_potential_energy() == pytest.approx(energies.mean(), abs=1e-5)
    salt.calc.calculate(salt, ["forces"])
    found = committee.disagreement()
    np.testing.assert_allclose(found.energies, energies, atol=1e-5)
    assert found.energy == pytest.approx(np.std(energies, ddof=1), abs=1e-5)
    np.testing.assert_allclose(found.forces, forces.std(axis=0, ddof=1), atol=1e-6)
    assert found.stress is None


def test_a_committee_has_two_members_at_least(members: list[FoundationCalc]) -> None:
    for few in ([], members[:1], [members[0], members[0]]):
        with pytest.raises(SetupError, match="two or more calculators, each once"):
            CommitteeCalc(few)


def test_before_a_calculation_there_is_no_disagreement(members: list[FoundationCalc]) -> None:
    with pytest.raises(PropertyError, match="ask for energy or forces first"):
        CommitteeCalc(members).disagreement()
