"""Edges that fill the room of a recorded step contribute nothing; the recording is a GPU's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from atomfm_calc.calculators.calculator import FoundationCalc
from atomfm_calc.calculators.captured_step import pad_edges
from atomfm_calc.errors import DataError, SetupError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import predict
from tests.atomfm_calc.calculators.conftest import Make

NONE = 1e-12
"""eV, eV/Å, eV/Å³: rounding in float64, the sums having another order"""


def _structures() -> dict[str, Atoms]:
    skewed = bulk("NaCl", "rocksalt", a=5.4)  # its shortest lattice vector is within the cutoff
    structures = {
        "molecule": molecule("CH3CH2OH"),
        "atom": Atoms("Ar"),
        "crystal": skewed,
        "slab": fcc111("Cu", (2, 2, 2), vacuum=4.0),
        "wire": Atoms("Cu2", [(0, 0, 0), (0.3, 1.2, 2.0)], cell=(2.6, 0, 0), pbc=(1, 0, 0)),
    }
    for atoms in structures.values():
        atoms.rattle(0.05, seed=1)
    return structures


@pytest.mark.parametrize("kernel", ["reference", "cpu"])
@pytest.mark.parametrize("name", list(_structures()))
def test_added_edges_change_nothing(make_calc: Make, kernel: str, name: str) -> None:
    evaluator = make_calc(kernel=kernel, default_dtype="float64")._evaluator
    graph = evaluator.graph(_structures()[name], "everything")
    padded = pad_edges(graph, graph.edge_index.shape[1] + 7, evaluator.model.cutoff)
    assert padded.edge_index.shape[1] == padded.edge_shift.shape[0]
    assert (padded.edge_index[0].diff() >= 0).all()
    want = ["energy", "forces"] + (["stress"] if bool(graph.pbc.all()) else [])
    energy_of = evaluator.model.energy_of("everything")
    for found, wanted in zip(
        predict(energy_of, padded, want), predict(energy_of, graph, want), strict=True
    ):
        if wanted is not None:
            torch.testing.assert_close(found, wanted, atol=NONE, rtol=0.0)


def test_there_must_be_room_for_the_edges(make_calc: Make, salt: Atoms) -> None:
    graph = make_calc()._evaluator.graph(salt, "everything")
    with pytest.raises(DataError, match=r"2 atoms and \d+ edges to 3 edges"):
        pad_edges(graph, 3, 4.0)


def test_repulsion_of_all_edges_is_that_of_the_close_ones(
    make_calc: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_calc(default_dtype="float64")._evaluator.model
    ethane = molecule("C2H6")
    ethane.positions *= 0.6  # so that bonds repel
    graph = make_calc(default_dtype="float64")._evaluator.graph(ethane, "everything")
    repulsion = model.repulsion
    close = repulsion(graph)

    def all_edges(found: AtomicGraph) -> tuple[AtomicGraph, torch.Tensor]:
        reach = repulsion.radii[found.atomic_numbers][found.edge_index].sum(dim=0)
        return found, reach.to(found.positions.dtype)

    monkeypatch.setattr(repulsion, "_close_edges", all_edges)
    assert float(close.abs().max()) > 0.1
    torch.testing.assert_close(repulsion(graph), close, atol=NONE, rtol=0.0)


def test_a_step_cannot_be_recorded_on_the_cpu(make_calc: Make) -> None:
    with pytest.raises(SetupError, match="on a CUDA device; device is 'cpu'"):
        make_calc(cuda_graph=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kernel", ["reference", None])
def test_replayed_steps_are_those_of_the_calculator(model_folder: Path, kernel: str | None) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.4) * (3, 3, 3)
    arguments = {"head": "everything", "device": "cuda", "default_dtype": "float64"}
    plain = FoundationCalc(model_folder, kernel=kernel, **arguments)
    replayed = FoundationCalc(model_folder, kernel=kernel, cuda_graph=True, **arguments)
    generator = np.random.default_rng(0)
    for stretch in (1.0, 1.0, 1.01, 0.93):  # the last has more edges than there is room for
        atoms.set_cell(atoms.cell * stretch, scale_atoms=True)
        atoms.positions += 0.05 * generator.normal(size=atoms.positions.shape)
        for property_name in ("energy", "forces", "stress"):
            found = replayed.get_property(property_name, atoms)
            np.testing.assert_allclose(
                found, plain.get_property(property_name, atoms), rtol=1e-9, atol=1e-9
            )
    assert replayed._evaluator.step is not None
    assert 3 < replayed._evaluator.step.n_recordings < 10
