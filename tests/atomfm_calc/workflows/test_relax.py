"""Relaxation on ASE's own EMT potential: whatever calculator comes, the workflow is the same."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from atomfm_calc.errors import (
    ConfigError,
    DataError,
    PropertyError,
    UnknownNameError,
    WorkflowError,
)
from atomfm_calc.units import GPA
from atomfm_calc.workflows.relax import (
    RELAX_OPTIMIZERS,
    RelaxSettings,
    RelaxStep,
    relax,
    require_converged,
)
from atomfm_calc.workflows.result import result_to_dict, save_result


@pytest.fixture
def copper() -> Atoms:
    """Stretched by 3 % and rattled."""
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    atoms.set_cell(1.03 * atoms.cell, scale_atoms=True)
    return atoms


@pytest.mark.parametrize("optimizer", RELAX_OPTIMIZERS)
@pytest.mark.parametrize("cell", ["full", "volume"])
def test_a_stretched_crystal_finds_its_lattice_constant(
    copper: Atoms, cell: str, optimizer: str
) -> None:
    settings = RelaxSettings(cell=cell, optimizer=optimizer, max_force=0.01, max_stress=1e-4)
    result = relax(copper, EMT(), settings)
    assert result.converged
    assert result.max_stress is not None
    assert result.max_stress <= settings.max_stress
    # EMT's copper has a = 3.59 Å: 11.57 Å³ per atom
    assert result.atoms.get_volume() / 4 == pytest.approx(11.57, abs=0.03)


def test_a_fixed_cell_stays(copper: Atoms) -> None:
    result = relax(copper, EMT(), RelaxSettings(cell="fixed"))
    assert result.converged
    assert np.array_equal(result.atoms.cell.array, copper.cell.array)
    assert result.energy < result.initial_energy
    assert result.max_stress is None


def test_under_pressure_the_stress_is_the_pressure(copper: Atoms) -> None:
    settings = RelaxSettings(cell="full", pressure_GPa=10.0, max_stress=1e-4)
    result = relax(copper, EMT(), settings)
    stress = result.atoms.get_stress(voigt=False)
    assert stress == pytest.approx(-10.0 * GPA * np.eye(3), abs=1e-4)


def test_the_callers_structure_is_not_touched(copper: Atoms) -> None:
    before = copper.copy()
    relax(copper, EMT(), RelaxSettings(cell="full"))
    assert copper == before
    assert copper.calc is None


def test_constraints_are_kept(copper: Atoms) -> None:
    copper.set_constraint(FixAtoms([0]))
    result = relax(copper, EMT())
    assert np.array_equal(result.atoms.positions[0], copper.positions[0])
    assert not np.array_equal(result.atoms.positions[1], copper.positions[1])


def test_running_out_of_steps_is_reported(copper: Atoms) -> None:
    result = relax(copper, EMT(), RelaxSettings(max_steps=2))
    assert not result.converged
    assert result.n_steps == 2
    assert result.reason == "not converged after 2 steps"


def test_a_relaxed_structure_takes_no_step(copper: Atoms) -> None:
    relaxed = relax(copper, EMT(), RelaxSettings(cell="full")).atoms
    assert relax(relaxed, EMT(), RelaxSettings(cell="full")).n_steps == 0


def test_every_step_is_told_and_written(copper: Atoms, tmp_path: Path) -> None:
    steps: list[RelaxStep] = []
    result = relax(copper, EMT(), trajectory=tmp_path / "relax.traj", on_step=steps.append)
    frames = ase.io.read(tmp_path / "relax.traj", ":")
    assert [step.n_steps for step in steps] == list(range(result.n_steps + 1))
    assert [frame.get_potential_energy() for frame in frames] == [step.energy for step in steps]


def test_a_result_can_be_kept_as_json(copper: Atoms, tmp_path: Path) -> None:
    result = relax(copper, EMT(), RelaxSettings(cell="full"))
    save_result(result, tmp_path / "result.json")
    assert '"converged": true' in (tmp_path / "result.json").read_text()
    assert "atoms" not in result_to_dict(result)


def test_a_relaxation_goes_on_where_it_ended(copper: Atoms, tmp_path: Path) -> None:
    path, whole = tmp_path / "relax.traj", relax(copper, EMT())
    first = relax(copper, EMT(), RelaxSettings(max_steps=2), trajectory=path)
    rest = relax(copper, EMT(), trajectory=path, resume=True)
    assert rest.converged
    assert rest.initial_energy == pytest.approx(first.initial_energy)
    assert rest.energy == pytest.approx(whole.energy, abs=1e-4)
    assert len(ase.io.read(path, ":")) == rest.n_steps + 1
    with pytest.raises(DataError, match="there is no trajectory"):
        relax(copper, EMT(), trajectory=tmp_path / "none.traj", resume=True)


def off_place(atoms: Atoms) -> np.ndarray:
    """How far atoms are off the places of a face-centered cell around the first, in cells."""
    relative = 2.0 * (atoms.get_scaled_positions() - atoms.get_scaled_positions()[0])
    return (relative - relative.round()) / 2.0


def test_symmetry_is_kept_on_demand() -> None:
    pytest.importorskip("spglib")
    # a tetragonal cell that would relax to the cubic one, with an atom a little off its place
    atoms = bulk("Cu", cubic=True)
    atoms.set_cell(atoms.cell * [[1.0], [1.0], [1.04]], scale_atoms=True)
    atoms.rattle(1e-3, seed=0)
    free = relax(atoms, EMT(), RelaxSettings(cell="full", max_steps=4)).atoms
    kept = relax(atoms, EMT(), RelaxSettings(cell="full", max_steps=4, keep_symmetry=True)).atoms
    assert not kept.constraints
    assert kept.cell.lengths()[0] == pytest.approx(kept.cell.lengths()[1], abs=1e-12)
    assert np.abs(off_place(kept)).max() < 1e-8
    assert np.abs(off_place(free)).max() > 1e-5


def test_who_needs_a_relaxed_structure_hears_why_there_is_none(copper: Atoms) -> None:
    with pytest.raises(WorkflowError, match="not converged after 1 steps: a force of .* is left"):
        require_converged(relax(copper, EMT(), RelaxSettings(max_steps=1)))


def test_a_free_cell_of_a_molecule_is_refused() -> None:
    with pytest.raises(PropertyError, match="cell='full'.* needs.*Use cell='fixed'"):
        relax(molecule("N2"), EMT(), RelaxSettings(cell="full"))


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no optimizer 'adam'"):
        RelaxSettings(optimizer="adam")
    with pytest.raises(UnknownNameError, match="no cell 'free'"):
        RelaxSettings(cell="free")
    with pytest.raises(ConfigError, match="max_force 0.0"):
        RelaxSettings(max_force=0.0)
