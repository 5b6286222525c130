"""What computed a structure stands beside it, and a run is not continued by something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io.trajectory import Trajectory

from atomfm_calc.errors import DataError
from atomfm_calc.workflows.compute import MADE_BY_KEY, maker_of
from atomfm_calc.workflows.dynamics import DynamicsSettings, run_dynamics
from atomfm_calc.workflows.relax import RelaxSettings, relax


class Named(EMT):
    """EMT that says what it is, as our own calculators do."""

    def __init__(self, head: str = "pbe", ase: str = "3.29") -> None:
        super().__init__()
        self.own = {"model": "toy 1.0", "head": head, "ase": ase}

    def fingerprint(self) -> dict[str, str]:
        return self.own


def relaxed(atoms: Atoms, calculator: EMT, path: Path, resume: bool) -> Atoms:
    settings = RelaxSettings(max_steps=4 if resume else 2, max_force=1e-6)
    return relax(atoms, calculator, settings, trajectory=path, resume=resume).atoms


def heated(atoms: Atoms, calculator: EMT, path: Path, resume: bool) -> Atoms:
    settings = DynamicsSettings(n_steps=4 if resume else 2, record_every=1)
    return run_dynamics(atoms, calculator, settings, trajectory=path, resume=resume).atoms


RUNS: dict[str, Callable[[Atoms, EMT, Path, bool], Atoms]] = {"relax": relaxed, "md": heated}


@pytest.fixture
def water() -> Atoms:
    atoms = molecule("H2O")
    atoms.rattle(0.1, seed=3)
    return atoms


@pytest.mark.parametrize("name", RUNS)
def test_every_frame_and_the_result_say_what_computed_them(
    name: str, water: Atoms, tmp_path: Path
) -> None:
    last = RUNS[name](water, Named(), tmp_path / "run.traj", False)
    with Trajectory(str(tmp_path / "run.traj")) as frames:
        makers = [json.loads(frame.info[MADE_BY_KEY]) for frame in frames]
    assert makers == [Named().fingerprint()] * len(makers)
    assert last.info[MADE_BY_KEY] == maker_of(Named())
    assert MADE_BY_KEY not in water.info


@pytest.mark.parametrize("name", RUNS)
def test_another_head_does_not_go_on_with_a_run(name: str, water: Atoms, tmp_path: Path) -> None:
    RUNS[name](water, Named(), tmp_path / "run.traj", False)
    for other in (Named("r2scan"), EMT(), LennardJones()):
        with pytest.raises(DataError, match="energies would jump. Resume with the same model"):
            RUNS[name](water, other, tmp_path / "run.traj", True)


@pytest.mark.parametrize("name", RUNS)
def test_another_version_of_a_package_goes_on(name: str, water: Atoms, tmp_path: Path) -> None:
    RUNS[name](water, Named(), tmp_path / "run.traj", False)
    last = RUNS[name](water, Named(ase="3.30"), tmp_path / "run.traj", True)
    assert json.loads(last.info[MADE_BY_KEY])["ase"] == "3.30"
