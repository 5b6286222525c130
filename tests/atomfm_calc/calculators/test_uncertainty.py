"""How far energies may be off: access, limits, and what has none."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from atomfm_calc.calculators.batch import predict_many
from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import PropertyError, SetupError, UncertainError
from atomfm_calc.workflows.dynamics import DynamicsSettings, run_dynamics
from tests.made.models import make_uncertain_folder

Make = Callable[..., FoundationCalc]


@pytest.fixture(scope="session")
def uncertain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_uncertain_folder(tmp_path_factory.mktemp("uncertain") / "tiny")


@pytest.fixture
def make_uncertain(uncertain_folder: Path) -> Make:
    def make(head: str = "everything", **arguments: object) -> FoundationCalc:
        arguments = {"device": "cpu", "kernel": "reference"} | arguments
        return FoundationCalc(uncertain_folder, head=head, **arguments)

    return make


def test_the_uncertainty_stands_beside_the_results(make_uncertain: Make, ethanol: Atoms) -> None:
    calc = make_uncertain()
    ethanol.calc = calc
    ethanol.get_forces()
    results = dict(calc.results)
    found = calc.uncertainty()
    assert found.energy > 0.0
    assert found.per_atom == pytest.approx(found.energy / 9)
    assert found.atoms is not None
    assert found.atoms.shape == (9,)
    assert calc.results == results
    assert set(results) <= set(FoundationCalc.implemented_properties)  # as ASE knows them


def test_it_needs_no_calculation_before(make_uncertain: Make, ethanol: Atoms) -> None:
    calc = make_uncertain()
    first = calc.uncertainty(ethanol)
    assert calc.results == {}
    ethanol.calc = calc
    ethanol.get_potential_energy()
    assert calc.uncertainty(ethanol).energy == pytest.approx(first.energy, rel=1e-6)
    ethanol.rattle(0.1)
    assert calc.uncertainty(ethanol).energy != pytest.approx(first.energy, rel=1e-6)


def test_a_supercell_is_as_uncertain_per_atom_as_its_cell(
    make_uncertain: Make, salt: Atoms
) -> None:
    calc = make_uncertain(default_dtype="float64")
    cell, supercell = calc.uncertainty(salt), calc.uncertainty(salt.repeat((2, 1, 3)))
    assert supercell.per_atom == pytest.approx(cell.per_atom, rel=1e-9)
    assert supercell.energy == pytest.approx(6 * cell.energy, rel=1e-9)


def test_many_structures_have_the_uncertainties_of_each(
    make_uncertain: Make, salt: Atoms, ethanol: Atoms
) -> None:
    calc = make_uncertain(default_dtype="float64")
    together = list(calc.predict_many([salt, ethanol, molecule("H2O")]))
    for atoms, result in zip([salt, ethanol, molecule("H2O")], together, strict=True):
        alone = calc.uncertainty(atoms)
        assert result.uncertainty is not None
        assert result.uncertainty.energy == pytest.approx(alone.energy, rel=1e-9)
        np.testing.assert_allclose(result.uncertainty.atoms, alone.atoms, rtol=1e-9)


def test_heads_have_uncertainties_of_their_own_beside_their_spread(
    make_uncertain: Make, ethanol: Atoms
) -> None:
    calc = make_uncertain(default_dtype="float64")
    for forces in (False, True):
        found = calc.evaluate_heads(ethanol, forces=forces)
        assert set(found.uncertainties) == {"molecules", "everything"}  # ions have none
        own = calc.uncertainty(ethanol).energy
        assert found.uncertainties["everything"].energy == pytest.approx(own, rel=1e-9)
        assert found.energy_spread != pytest.approx(own, rel=0.01)


def test_a_limit_raises_and_names_the_strangest_atom(make_uncertain: Make, ethanol: Atoms) -> None:
    calc = make_uncertain(on_uncertain="raise", max_uncertainty=1e-9)
    ethanol.calc = calc
    with pytest.raises(UncertainError, match=r"eV/atom .* most at atom \d .* the limit is 1e-09"):
        ethanol.get_forces()
    assert calc.results == {}
    assert calc.uncertainty(ethanol).per_atom > 1e-9  # asking for it is no calculation
    with pytest.raises(UncertainError, match="structure 0: head"):
        list(calc.predict_many([ethanol]))


def test_the_usual_limit_is_that_of_the_head(
    tmp_path: Path, ethanol: Atoms, make_uncertain: Make
) -> None:
    folder = make_uncertain_folder(tmp_path / "strict", usual=1e-9)
    settings = CalculatorSettings(head="everything", on_uncertain="raise", device="cpu")
    with pytest.raises(UncertainError, match="95 % of its held-out structures"):
        predict_many([ethanol], folder, settings)
    assert make_uncertain(on_uncertain="raise").get_potential_energy(ethanol) < 0.0
    assert make_uncertain().uncertainty(ethanol).is_usual


def test_a_warning_comes_once_until_it_is_certain_again(
    make_uncertain: Make, ethanol: Atoms, caplog: pytest.LogCaptureFixture
) -> None:
    sure, unsure = molecule("H2O"), ethanol
    probe = make_uncertain()
    levels = [probe.uncertainty(atoms).per_atom for atoms in (sure, unsure)]
    if levels[0] > levels[1]:
        sure, unsure = unsure, sure
    calc = make_uncertain(on_uncertain="warn", max_uncertainty=sum(levels) / 2)
    with caplog.at_level(logging.WARNING):
        for atoms in (unsure, unsure, sure, unsure):
            calc.get_potential_energy(atoms)
            atoms.rattle(1e-4)
    assert sum("is uncertain of this structure" in text for text in caplog.messages) == 2


def test_a_model_without_uncertainties_says_so(make_calc: Make, ethanol: Atoms) -> None:
    with pytest.raises(PropertyError, match=r"none at all.*python -m training uncertainty"):
        make_calc().uncertainty(ethanol)
    with pytest.raises(PropertyError, match="without uncertainties of head 'everything'"):
        make_calc(on_uncertain="warn")
    (result,) = make_calc().predict_many([ethanol])
    assert result.uncertainty is None


def test_a_head_without_uncertainties_says_which_have_them(
    make_uncertain: Make, ethanol: Atoms
) -> None:
    with pytest.raises(PropertyError, match=r"head 'ions'; it has those of molecules, everything"):
        make_uncertain("ions").uncertainty(ethanol)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_uncertain": "stop"}, "use 'ignore', 'warn', 'raise'"),
        ({"on_uncertain": "raise", "max_uncertainty": 0.0}, "must be above 0"),
        ({"max_uncertainty": 0.1}, "says to ignore it"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(
    make_uncertain: Make, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        make_uncertain(**arguments)


def test_a_pickled_calculator_knows_as_much(make_uncertain: Make, ethanol: Atoms) -> None:
    calc = make_uncertain(on_uncertain="warn", max_uncertainty=5.0)
    twin = pickle.loads(pickle.dumps(calc))
    assert twin.uncertainty(ethanol).energy == pytest.approx(calc.uncertainty(ethanol).energy)
    assert FoundationCalc.fromdict(calc.todict()).todict() == calc.todict()


def test_dynamics_stops_where_it_becomes_uncertain(make_uncertain: Make) -> None:
    water = molecule("H2O")
    start = make_uncertain().uncertainty(water).per_atom
    calc = make_uncertain(on_uncertain="raise", max_uncertainty=1.0001 * start)
    result = run_dynamics(water, calc, DynamicsSettings(temperature_K=2000.0, n_steps=200))
    assert not result.completed
    assert 0 < result.n_steps < 200
    assert "is uncertain of this structure" in result.reason
    assert make_uncertain().uncertainty(result.atoms).per_atom > 1.0001 * start  # it is there


def test_dynamics_that_begins_uncertain_is_an_error(make_uncertain: Make) -> None:
    calc = make_uncertain(on_uncertain="raise", max_uncertainty=1e-9)
    with pytest.raises(UncertainError, match="set by max_uncertainty"):
        run_dynamics(molecule("H2O"), calc, DynamicsSettings(n_steps=5))
