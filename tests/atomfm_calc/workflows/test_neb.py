"""Barriers, against ASE's own run and against the energy of a saddle that symmetry fixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from atomfm_calc.errors import ConfigError, DataError, StructureError
from atomfm_calc.workflows.neb import NebSettings, NebStep, nudged_elastic_band
from atomfm_calc.workflows.relax import RelaxSettings, relax


@pytest.fixture(scope="module")
def ends() -> tuple[Atoms, Atoms]:
    """Gold on Al(100), from one hollow to the next: ASE's example."""
    slab = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in slab]))
    last = slab.copy()
    last[-1].x += last.get_cell()[0, 0] / 2.0
    return slab, last


def bridge_energy(slab: Atoms) -> float:
    """Of the saddle: symmetry holds the gold atom in the middle between two hollows."""
    saddle = slab.copy()
    saddle[-1].x += saddle.get_cell()[0, 0] / 4.0
    return relax(saddle, EMT(), RelaxSettings(max_force=1e-3)).energy


def test_the_barrier_is_that_of_the_saddle_to_a_millielectronvolt(
    ends: tuple[Atoms, Atoms], tmp_path: Path
) -> None:
    told: list[NebStep] = []
    path, settings = tmp_path / "neb.traj", NebSettings(n_images=3, max_force=0.02)
    result = nudged_elastic_band(*ends, EMT(), settings, trajectory=path, on_step=told.append)
    start = relax(ends[0], EMT(), RelaxSettings(max_force=1e-3)).energy
    assert result.converged
    assert result.barrier == pytest.approx(bridge_energy(ends[0]) - start, abs=1e-3)
    assert result.barrier == pytest.approx(0.374, abs=1e-3)  # ASE's documentation
    assert result.reverse_barrier == pytest.approx(result.barrier, abs=1e-3)
    assert result.energies.argmax() == 2
    assert (np.diff(result.distances) > 0.1).all()
    assert told[-1].climbing
    assert [step.n_steps for step in told] == list(range(result.n_steps + 1))


def test_a_band_goes_on_where_it_ended(ends: tuple[Atoms, Atoms], tmp_path: Path) -> None:
    path = tmp_path / "neb.traj"
    first = nudged_elastic_band(*ends, EMT(), NebSettings(n_images=1, max_steps=3), trajectory=path)
    assert not first.converged
    assert first.reason == "not converged after 3 steps"
    rest = nudged_elastic_band(*ends, EMT(), NebSettings(n_images=1), trajectory=path, resume=True)
    assert rest.converged
    assert rest.n_steps > 3
    assert rest.barrier == pytest.approx(0.374, abs=2e-3)
    with pytest.raises(DataError, match="holds no path of 4 images"):
        nudged_elastic_band(*ends, EMT(), NebSettings(n_images=2), trajectory=path, resume=True)


def test_ends_that_do_not_belong_together_are_refused(ends: tuple[Atoms, Atoms]) -> None:
    first, last = ends
    with pytest.raises(StructureError, match="same atoms in the same order"):
        nudged_elastic_band(first, last[::-1], EMT())
    wider = last.copy()
    wider.cell[0, 0] += 0.1
    with pytest.raises(StructureError, match="different cells"):
        nudged_elastic_band(first, wider, EMT())
    with pytest.raises(ConfigError, match="n_images 0"):
        NebSettings(n_images=0)
