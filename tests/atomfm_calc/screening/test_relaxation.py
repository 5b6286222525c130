"""Batched relaxation ends where each structure alone would, fixed cell or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.calculators.budget import BatchBudget
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.screening.campaign import Relaxation
from atomfm_calc.screening.relaxation import relax_block
from atomfm_calc.screening.structures import block_from_atoms
from tests.atomfm_calc.screening.conftest import table

HEAD = "gfn1-xtb"
BUDGET = BatchBudget(max_atoms=12, max_edges=10**6)


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    settings = CalculatorSettings(device="cpu", head=HEAD, default_dtype="float64")
    return Evaluator(prepare_model("painn-lead", settings), settings)


def _rattled(atoms: Atoms, amplitude: float = 0.06) -> Atoms:
    atoms = atoms.copy()
    atoms.rattle(amplitude, seed=len(atoms))
    return atoms


def _relax(evaluator: Evaluator, structures: list[Atoms], **settings: object):
    block = block_from_atoms([(i, f"made#{i}", atoms) for i, atoms in enumerate(structures)])
    return relax_block(evaluator, HEAD, block, Relaxation(**settings), BUDGET)


def _remaining(evaluator: Evaluator, atoms: Atoms) -> tuple[float, float]:
    """Largest force, and largest component of the stress times volume per atom."""
    want = ["energy", "forces", "stress"] if atoms.pbc.all() else ["energy", "forces"]
    (result,) = evaluator.evaluate(evaluator.graph(atoms, HEAD), HEAD, want)
    strain = 0.0
    if result.stress is not None:
        strain = (
            float(np.linalg.norm(result.stress, axis=1).max()) * atoms.get_volume() / len(atoms)
        )
    return float(np.linalg.norm(result.forces, axis=1).max()), strain


def test_molecules_of_different_sizes_relax_together(evaluator: Evaluator) -> None:
    structures = [_rattled(molecule(name)) for name in ("H2O", "CH3CH2OH", "CH4", "CO2")]
    block, n_steps, is_relaxed = _relax(evaluator, structures, max_force=0.02)
    assert is_relaxed.all()
    assert len(set(n_steps.tolist())) > 1  # each leaves when it is done
    for row in range(4):
        assert _remaining(evaluator, block.atoms(row))[0] <= 0.0201


@pytest.mark.parametrize("cell", [False, True])
def test_a_strained_crystal_relaxes_its_cell_only_if_asked(evaluator, cell: bool) -> None:
    silicon = bulk("Si", a=5.6)
    block, _, is_relaxed = _relax(
        evaluator, [_rattled(silicon, 0.05)], max_force=0.01, cell=cell, max_steps=400
    )
    assert is_relaxed.all()
    force, strain = _remaining(evaluator, block.atoms(0))
    assert force <= 0.0101
    assert (strain <= 0.0101) == cell
    assert np.allclose(block.cell[0], silicon.cell.array) != cell


def test_a_structure_that_does_not_get_there_goes_on_as_it_is(evaluator: Evaluator) -> None:
    block, n_steps, is_relaxed = _relax(
        evaluator, [_rattled(molecule("CH4"), 0.2)], max_force=1e-6, max_steps=3
    )
    assert (len(block), n_steps.tolist(), is_relaxed.tolist()) == (1, [3], [False])


def test_the_rows_of_a_relaxed_stage_are_those_at_the_minimum(screen, tmp_path: Path) -> None:
    import ase.io

    path = str(tmp_path / "start.extxyz")
    ase.io.write(path, [_rattled(molecule("H2O")), _rattled(molecule("CH4"))])
    stage = {"heads": [HEAD], "forces": True, "relax": {"max_force": 0.05}}
    folder = screen(
        candidates={"kind": "files", "paths": [path]}, model="painn-lead", stages=[stage]
    )
    rows = table(folder / "evaluate").to_pydict()
    assert rows["relaxed"] == [True, True]
    assert max(rows["max_force"]) <= 0.0501
    assert [len(positions) for positions in rows["positions"]] == [3, 5]
