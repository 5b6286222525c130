"""What the trust tables are made of: systems, criteria, minima, bonds, and the page itself."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones
from ase.data import covalent_radii

from atomfm_calc import FoundationCalc
from atomfm_calc.errors import DataError, StructureError
from atomfm_calc.registry.catalog import find_model, load_card
from tests.house.sources import ROOT
from tests.made.models import head_info, make_model_folder

Import = Callable[[str], ModuleType]
CARD = load_card(find_model("painn-lead"))
NAMES = json.loads((ROOT / "benchmarks/bond-lengths-reference.json").read_text(encoding="utf-8"))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Import:
    """Imports a benchmark as the script that it is."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_there_are_fifty_systems_that_their_heads_are_for(script: Import) -> None:
    systems = script("stability_systems").SYSTEMS
    assert len(systems) == 50
    kinds = set()
    for name, system in systems.items():
        atoms, head = system.build(), CARD.heads[system.head]
        assert set(atoms.symbols) <= set(head.elements), name
        assert atoms.info.get("charge", 0) in head.charges, name
        assert ("3d" if atoms.pbc.all() else "molecule") in head.periodicity, name
        distances = atoms.get_all_distances(mic=True) + 9 * np.eye(len(atoms))
        radii = covalent_radii[atoms.numbers]
        assert (distances > 0.75 * (radii[:, None] + radii)).all(), name
        kinds.add((system.head, system.temperature_K, atoms.get_chemical_formula(), system.kind))
    assert len(kinds) >= 49  # pristine crystals of one formula may differ in name alone


def watch(script: Import, atoms: Atoms, name: str) -> object:
    atoms.calc = LennardJones()
    return script("stability").Watch(atoms, script("stability_systems").SYSTEMS[name])


@pytest.mark.parametrize(
    ("atom", "distance", "reason"),
    [(1, 2.5, "bond H-O broken, 2.50"), (1, 0.3, "H-O at 0.30"), (1, 0.96, None)],
)
def test_a_broken_molecule_is_flagged(
    script: Import, atom: int, distance: float, reason: str | None
) -> None:
    watching = watch(script, molecule("H2O"), "water")
    watching.atoms.set_distance(0, atom, distance, fix=0)
    if reason is None:
        watching.look()
    else:
        with pytest.raises(script("stability").UnstableError, match=reason):
            watching.look()


def test_a_new_bond_is_flagged_unless_a_proton_may_move(script: Import) -> None:
    water = molecule("H2O")
    far, near = (water.positions[0] + (0, 0, away) for away in (3.0, 0.95))
    watching = watch(script, water + Atoms("H", [far]), "water dimer")
    watching.atoms.positions[3] = near
    with pytest.raises(script("stability").UnstableError, match="new bond H-O, 0.95"):
        watching.look()
    moving = watch(script, water + Atoms("H", [far]), "H5O2+, gfn2")
    moving.atoms.positions[3] = near
    moving.look()


def test_heat_melting_and_drift_are_flagged(script: Import) -> None:
    unstable = script("stability").UnstableError
    watching = watch(script, bulk("Cu", cubic=True) * 2, "Cu32, mlearn")
    watching.time_ps = 2.0
    watching.atoms.set_velocities(np.full((32, 3), 0.2))
    with pytest.raises(unstable, match="K, above"):
        watching.look()
    watching.energies = [0.0, 0.001, 0.002]  # 50 fs between two: 0.6 meV/atom/ps
    watching.squares = [0.01]
    watching.conclude()
    watching.squares = [1.0]
    with pytest.raises(unstable, match="molten"):
        watching.conclude()
    watching.squares, watching.energies = [0.01], [0.0, 0.01, 0.02]
    with pytest.raises(unstable, match="drifts by 6.25"):
        watching.conclude()


def test_lockstep_gives_each_its_own_result_or_error(script: Import) -> None:
    lockstep = script("lockstep").Lockstep("painn-lead", "float64")
    found = {}

    def work(name: str) -> None:
        atoms = molecule(name)
        if name == "CO":
            atoms.positions[1] = atoms.positions[0]
        atoms.calc = script("lockstep").LockstepCalc(lockstep, "gfn1-xtb")
        found[name] = atoms.get_forces()

    (error,) = lockstep.run(["H2O", "CO", "CH4"], work, 3)
    assert isinstance(error, StructureError)
    for name in ("H2O", "CH4"):
        alone = molecule(name)
        alone.calc = FoundationCalc("painn-lead", default_dtype="float64")
        np.testing.assert_allclose(found[name], alone.get_forces(), atol=1e-9)


def test_dynamics_goes_on_where_it_was_stopped(script: Import, tmp_path: Path) -> None:
    stability, out = script("stability"), tmp_path / "stability.json"
    heads = {"gfn1-xtb": head_info(("H", "O", "C"))}
    model = make_model_folder(tmp_path / "tiny", heads)
    short = ["--model", str(model), "--nvt-ps", "0.02", "--nve-ps", "0.02", "--out", str(out)]
    stability.main([*short, "--systems", "water", "methane"])
    first = json.loads(out.read_text(encoding="utf-8"))
    assert list(first["systems"]) == ["water", "methane"]
    assert all(
        facts["survived"] == (facts["reason"] is None) for facts in first["systems"].values()
    )
    first["systems"]["water"]["marked"] = True
    out.write_text(json.dumps(first), encoding="utf-8")
    stability.main([*short, "--systems", "water", "carbon dioxide"])
    second = json.loads(out.read_text(encoding="utf-8"))["systems"]
    assert second["water"]["marked"]
    assert list(second) == ["water", "methane", "carbon dioxide"]
    assert stability.load(out, {"weights_sha256": "of another model"})["systems"] == {}


def test_thirty_crystals_are_searched_for_a_minimum(script: Import) -> None:
    program = script("equation_of_state")
    assert len({program.crystal(name).get_chemical_formula() for name in program.CRYSTALS}) == 30
    asked: list[float] = []

    def parabola(scale: float) -> float:
        asked.append(scale)
        return np.inf if scale < 0.93 else (scale - 0.957) ** 2

    assert program.search(parabola) == pytest.approx(0.957)
    assert len(asked) == len(set(asked)) < len(program.REFERENCE_SCALES)
    assert program.search(lambda scale: scale) is None
    assert not program.has_one_minimum(np.array([3.0, 1.0, 2.0, 1.0, 3.0]))


def test_bonds_and_angles_are_measured(script: Import) -> None:
    program = script("bond_lengths")
    water = molecule("H2O")
    moved = water.copy()
    moved.set_distance(0, 1, water.get_distance(0, 1) + 0.02, fix=0)
    found = program.compare(water, moved)
    assert [name for name, *_ in found["bonds"]] == ["H-O", "H-O"]
    assert found["max_angstrom"] == pytest.approx(0.02)
    assert found["mean_angstrom"] == pytest.approx(0.01)
    assert (found["worst"], found["n_angles"], found["same_bonds"]) == (0, 1, True)
    assert found["max_degrees"] == pytest.approx(0.0, abs=1e-6)


def test_thirty_molecules_have_a_relaxed_reference(script: Import) -> None:
    molecules = script("bond_lengths").MOLECULES
    assert len(molecules) == 30
    assert list(NAMES) == list(molecules)
    assert all(entry["relaxed"] for entry in NAMES.values())


def test_the_page_is_what_the_figures_say(script: Import, tmp_path: Path) -> None:
    trust = script("trust")
    contents = trust.load(trust.FOLDER / "results")
    page = trust.PAGE.read_text(encoding="utf-8")
    assert trust.filled(page, contents) == page, "python benchmarks/trust.py"
    name = next(iter(contents["stability"]["systems"]))
    one = {**contents["stability"], "systems": {name: contents["stability"]["systems"][name]}}
    assert trust.stability_table(one).count("not run") == 1 + 49
    for file in trust.SOURCES.values():
        (tmp_path / file).write_text(json.dumps({"model": file, "weights_sha256": file}))
    with pytest.raises(DataError, match="several models"):
        trust.load(tmp_path)
