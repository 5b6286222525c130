"""Imported models against numbers of HydraGNN itself, where these files are at hand.

They lie beside the repository (random weights, 20 structures, made with HydraGNN; see the README in
each folder). `test_hydra_painn.py` tests the same physics everywhere, on checkpoints made by code.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from numpy.lib.npyio import NpzFile

from atomfm_calc import FoundationCalc
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import predict, predict_heads
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.gate import count_elements
from atomfm_calc.neighbors import find_edges, graph_from_arrays
from atomfm_calc.registry.catalog import LoadedModel, load_model
from atomfm_calc.registry.hydragnn import import_hydragnn

FIXTURES = Path(__file__).parents[4] / "shared" / "fixtures"
RUNS = ("small", "fusepool", "v50")
pytestmark = pytest.mark.skipif(
    not all((FIXTURES / f"hydragnn_{run}").is_dir() for run in RUNS),
    reason="the reference files of HydraGNN are not at hand",
)
RELATIVE = {torch.float64: 1e-9, torch.float32: 1e-4}
TIES = {"si_primitive", "nacl_primitive", "mgo_primitive"}
"""Where the limit falls among equal distances, the order of a neighbor list decides."""


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> Path:
    return FIXTURES / f"hydragnn_{request.param}"


@pytest.fixture(scope="module")
def folder(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / run.name
    import_hydragnn(run, folder)
    return folder


def _structures(run: Path, model: FoundationModel) -> list[tuple[str, AtomicGraph, slice]]:
    """Name, graph and place of the atoms in the arrays, of every structure."""
    found, first = [], 0
    for atoms in ase.io.read(run / "structures.extxyz", ":"):
        arrays = atoms.positions, np.array(atoms.cell.array), np.array(atoms.pbc)
        graph = graph_from_arrays(
            atoms.numbers,
            *arrays,
            find_edges(*arrays, model.cutoff),
            charge=atoms.info["total_charge"],
            multiplicity=atoms.info["spin_multiplicity"],
            dtype=model.dtype,
        )
        found.append((atoms.info["name"], graph, slice(first, first + len(atoms))))
        first += len(atoms)
    return found


def _assert_near(found: torch.Tensor, expected: np.ndarray, relative: float) -> None:
    """Within a fraction of the largest number, or of 0.1 where symmetry leaves almost nothing."""
    atol = relative * max(0.1, float(np.abs(expected).max()))
    np.testing.assert_allclose(found.numpy(), expected, rtol=0.0, atol=atol)


def _compare(run: Path, loaded: LoadedModel, relative: float, prefix: str = "") -> None:
    reference: NpzFile = np.load(run / "reference.npz")
    heads = loaded.model.head_names
    for row, (name, graph, atoms) in enumerate(_structures(run, loaded.model)):
        if prefix and name in TIES:
            continue
        results = predict_heads(loaded.model, graph, heads, ("energy", "forces"))
        for branch, found in enumerate(results.values()):
            energy = reference[f"{prefix}branch_energy"][row, branch : branch + 1]
            _assert_near(found.energy, energy, relative)
            _assert_near(found.forces, reference[f"{prefix}branch_forces"][branch, atoms], relative)


@pytest.mark.parametrize("kernel", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", RELATIVE, ids=str)
def test_energies_and_forces_of_all_branches_are_hydragnns(
    run: Path, folder: Path, dtype: torch.dtype, kernel: str
) -> None:
    loaded = load_model(folder, kernel)
    loaded.model.to(dtype)
    _compare(run, loaded, RELATIVE[dtype])


def test_energies_and_forces_of_the_mixture_are_hydragnns(run: Path, folder: Path) -> None:
    reference, loaded = np.load(run / "reference.npz"), load_model(folder)
    for row, (_, graph, atoms) in enumerate(_structures(run, loaded.model)):
        weights = loaded.gate(count_elements(graph.atomic_numbers, graph.batch, 1))
        _assert_near(weights, reference["branch_weights"][row : row + 1], 1e-9)
        found = predict(loaded.model.energy_of_mixture(weights), graph)
        _assert_near(found.energy, reference["fused_energy"][row : row + 1], 1e-9)
        _assert_near(found.forces, reference["fused_forces"][atoms], 1e-9)


def test_a_limited_number_of_neighbors_is_hydragnns(run: Path, folder: Path) -> None:
    loaded = load_model(folder)
    reference = np.load(run / "reference.npz")
    backbone = loaded.model.backbone
    backbone.config = replace(backbone.config, max_neighbors=int(reference["trunc_max_neighbours"]))
    _compare(run, loaded, 1e-9, "trunc_")


@pytest.mark.parametrize("variant", ["noddp", "tp_branch1"])
def test_other_layouts_of_the_same_run_give_the_same(
    run: Path, variant: str, tmp_path: Path
) -> None:
    name = run.name.replace("hydragnn", "gfm")
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    file = tmp_path / f"{name}_{variant.removeprefix('tp_')}.pk"
    file.write_bytes((run / "variants" / f"{name}_{variant}.pk").read_bytes())
    import_hydragnn(tmp_path, tmp_path / "model")
    model = load_model(tmp_path / "model").model
    array = "taskparallel_energy" if variant.startswith("tp") else "branch_energy"
    for row, (_, graph, _) in enumerate(_structures(run, model)):
        for head in model.head_names:
            expected = np.load(run / "reference.npz")[array][row, int(head[-1])]
            _assert_near(model.energy(graph, head).structures, np.array([expected]), 1e-9)


def test_the_calculator_computes_a_lone_atom_and_the_stress_of_a_cell(folder: Path) -> None:
    calc = FoundationCalc(folder, default_dtype="float64", device="cpu")
    atom, crystal = (
        ase.Atoms("Ar"),
        ase.io.read(_crystal(folder), 9 if "fuse" not in folder.name else 3),
    )
    for atoms in (atom, crystal):
        atoms.calc = calc
        assert np.isfinite(atoms.get_forces()).all()
    assert np.isfinite(crystal.get_stress()).all()
    assert "energies" not in calc.results


def _crystal(folder: Path) -> Path:
    return FIXTURES / folder.name / "structures.extxyz"
