"""Molecular dynamics on ASE's own EMT potential."""

from __future__ import annotations

import csv
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from atomfm_calc.cli import commands
from atomfm_calc.errors import (
    ConfigError,
    DataError,
    NonFiniteError,
    PropertyError,
    UnknownNameError,
)
from atomfm_calc.workflows import WORKFLOWS
from atomfm_calc.workflows.course import DynamicsStep
from atomfm_calc.workflows.dynamics import ENSEMBLES, DynamicsSettings, run_dynamics


@pytest.fixture
def copper() -> Atoms:
    return bulk("Cu", cubic=True)


def settings(**changes: object) -> DynamicsSettings:
    return DynamicsSettings(**({"timestep_fs": 4.0, "n_steps": 60} | changes))


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_every_ensemble_does_all_steps_and_leaves_the_structure_alone(
    copper: Atoms, ensemble: str
) -> None:
    before = copper.copy()
    result = run_dynamics(copper, EMT(), settings(ensemble=ensemble))
    assert result.completed
    assert (result.n_steps, result.time_fs) == (60, 240.0)
    assert copper == before
    assert not copper.constraints


def test_without_thermostat_the_energy_is_conserved(copper: Atoms) -> None:
    result = run_dynamics(copper, EMT(), settings(ensemble="nve", n_steps=250, timestep_fs=2.0))
    assert result.energy_drift_meV_per_atom_per_ps is not None
    assert abs(result.energy_drift_meV_per_atom_per_ps) < 1.0


@pytest.mark.parametrize("ensemble", ["nvt-langevin", "nvt-bussi", "nvt-nose-hoover"])
def test_thermostats_hold_the_temperature_of_3n_minus_3_degrees_of_freedom(
    copper: Atoms, ensemble: str
) -> None:
    result = run_dynamics(
        copper,
        EMT(),
        settings(ensemble=ensemble, temperature_K=400.0, n_steps=1500, thermostat_time_fs=30.0),
    )
    # 9 degrees of freedom and some 60 independent samples: 400 K x sqrt(2 / 9 / 60) = 24 K
    assert result.mean_temperature_K == pytest.approx(400.0, abs=3 * 24.0)
    assert np.allclose(result.atoms.get_momenta().sum(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize("ensemble", ["npt-mtk", "npt-berendsen"])
def test_barostats_find_the_volume_of_the_pressure(ensemble: str) -> None:
    copper = bulk("Cu", cubic=True) * (2, 2, 1)
    chosen = settings(ensemble=ensemble, temperature_K=300.0, pressure_GPa=20.0, n_steps=300,
                      thermostat_time_fs=40.0, barostat_time_fs=150.0)  # fmt: skip
    result = run_dynamics(copper, EMT(), chosen)
    assert result.mean_volume_angstrom3 is not None
    # EMT's copper: 11.57 Å³, 134 GPa with derivative 4.2, thus Murnaghan's
    # (1 + 4.2 * 20 / 134)^(-1 / 4.2) = 0.890; heat adds 1.3 %
    assert result.mean_volume_angstrom3 / 16 == pytest.approx(11.57 * 0.890 * 1.013, rel=0.015)
    assert result.mean_pressure_GPa == pytest.approx(20.0, abs=3.0)
    assert result.mean_temperature_K == pytest.approx(300.0, abs=90.0)
    assert np.allclose(result.atoms.get_momenta().sum(axis=0), 0.0, atol=1e-6)


def test_an_ensemble_that_a_structure_cannot_have_is_refused(copper: Atoms) -> None:
    copper.set_constraint(FixAtoms([0]))
    with pytest.raises(PropertyError, match="npt-mtk takes no constraints"):
        run_dynamics(copper, EMT(), settings(ensemble="npt-mtk"))
    copper.pbc = (True, True, False)
    with pytest.raises(PropertyError, match="npt-berendsen needs a structure periodic"):
        run_dynamics(copper, EMT(), settings(ensemble="npt-berendsen"))


def test_the_seed_decides_the_course(copper: Atoms) -> None:
    positions = [
        run_dynamics(copper, EMT(), settings(seed=seed)).atoms.positions for seed in (1, 1, 2)
    ]
    assert np.array_equal(positions[0], positions[1])
    assert not np.array_equal(positions[0], positions[2])


def test_momenta_and_constraints_of_the_structure_are_used(copper: Atoms) -> None:
    copper.set_momenta(np.ones((4, 3)))
    copper.set_constraint(FixAtoms([0]))
    result = run_dynamics(copper, EMT(), settings(ensemble="nve", n_steps=1))
    assert np.array_equal(result.atoms.positions[0], copper.positions[0])
    assert np.allclose(result.atoms.get_momenta()[1:], 1.0, atol=0.1)


def test_trajectory_table_and_callback_tell_the_same(copper: Atoms, tmp_path: Path) -> None:
    told: list[DynamicsStep] = []
    path = tmp_path / "md.traj"
    run_dynamics(copper, EMT(), settings(n_steps=25), trajectory=path, on_record=told.append)
    with path.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    frames = ase.io.read(path, ":")
    assert [record.step for record in told] == [0, 10, 20, 25]
    assert [int(row["step"]) for row in rows] == [0, 10, 20, 25]
    assert [frame.info["md_step"] for frame in frames] == [0, 10, 20, 25]
    assert frames[-1].get_kinetic_energy() == pytest.approx(told[-1].kinetic_energy_eV)


def test_a_run_can_be_resumed(copper: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    whole = run_dynamics(copper, EMT(), settings(ensemble="nve"))
    run_dynamics(copper, EMT(), settings(ensemble="nve", n_steps=30), trajectory=path)
    rest = run_dynamics(copper, EMT(), settings(ensemble="nve"), trajectory=path, resume=True)
    assert rest.n_steps == 60
    assert [frame.info["md_step"] for frame in ase.io.read(path, ":")] == list(range(0, 61, 10))
    assert rest.atoms.positions == pytest.approx(whole.atoms.positions, abs=1e-9)


def test_nothing_to_resume_is_an_error(copper: Atoms, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no trajectory"):
        run_dynamics(copper, EMT(), trajectory=tmp_path / "none.traj", resume=True)
    ase.io.write(tmp_path / "other.traj", copper)
    with pytest.raises(DataError, match="not written by this workflow"):
        run_dynamics(copper, EMT(), trajectory=tmp_path / "other.traj", resume=True)


def test_a_run_that_gets_too_hot_is_stopped_with_the_reason(copper: Atoms, tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    result = run_dynamics(
        copper, EMT(), settings(ensemble="nve", timestep_fs=60.0, n_steps=500), trajectory=path
    )
    assert not result.completed
    assert "a temperature of" in result.reason or "a force of" in result.reason
    assert ase.io.read(path, -1).info["md_step"] == result.n_steps < 500


class FailsLater(EMT):
    """EMT that gives up at the tenth call."""

    n_calls = 0

    def calculate(self, *arguments: object, **named: object) -> None:
        self.n_calls += 1
        if self.n_calls == 10:
            raise NonFiniteError("energy is not finite")
        super().calculate(*arguments, **named)


def test_a_failing_calculator_stops_the_run_and_what_was_done_is_kept(copper: Atoms) -> None:
    result = run_dynamics(copper, FailsLater(), settings())
    assert result.reason == "stopped after step 8: energy is not finite"
    assert not result.completed


def test_a_structure_that_cannot_be_computed_at_all_is_an_error(copper: Atoms) -> None:
    class Never(Calculator):
        implemented_properties = ["energy", "forces"]

        def calculate(self, *arguments: object, **named: object) -> None:
            raise NonFiniteError("energy is not finite")

    with pytest.raises(NonFiniteError):
        run_dynamics(copper, Never(), settings())


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no ensemble 'npt'"):
        settings(ensemble="npt")
    with pytest.raises(ConfigError, match="temperature_K is 0"):
        settings(temperature_K=0.0)
    with pytest.raises(ConfigError, match="record_every 0"):
        settings(record_every=0)


def test_the_table_of_workflows_names_them_as_the_command_line_does() -> None:
    runs = {
        name.removeprefix("atomfm run ") for name in commands() if name.startswith("atomfm run ")
    }
    assert runs - {"rdf", "diffusion"} - set(WORKFLOWS) == set()
    assert set(WORKFLOWS) - runs == set()
