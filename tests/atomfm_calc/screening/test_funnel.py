"""What a stage keeps, in which order, and what the next one makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from atomfm_calc.errors import ConfigError, UnknownNameError
from atomfm_calc.screening.fingerprint import fingerprints
from atomfm_calc.screening.graphs import list_block
from atomfm_calc.screening.hull import EnergyHull
from atomfm_calc.screening.structures import block_from_atoms
from tests.atomfm_calc.screening.conftest import table

Screen = Callable[..., Path]
BY_ENERGY = {"by": "energy_per_atom", "count": 10}


def _selected(folder: Path, stage: str) -> dict[str, list]:
    found = table(folder, f"{stage}/selected.parquet")
    return found.sort_by("rank").to_pydict()


def test_the_best_of_all_blocks_come_first(screen: Screen) -> None:
    folder = screen(stages=[{"name": "only", "top": BY_ENERGY}])
    energies = table(folder / "only")["energy_per_atom"].to_numpy()
    kept = _selected(folder, "only")
    assert kept["energy_per_atom"] == sorted(energies)[:10]
    assert [atoms.info["id"] for atoms in ase.io.read(folder / "selected.extxyz", ":")] == kept[
        "id"
    ]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_a_fraction_is_that_of_all_rows(screen: Screen, fraction: float) -> None:
    top = {"by": "n_atoms", "largest": True, "fraction": fraction}
    kept = _selected(screen(stages=[{"name": "only", "top": top}]), "only")
    assert len(kept["index"]) == 60 * fraction


def test_limits_and_elements_must_all_hold(screen: Screen) -> None:
    candidates = {"kind": "random", "count": 400, "max_atoms": 3, "max_atomic_number": 8}
    stage = {
        "name": "only",
        "limits": [{"column": "n_atoms", "minimum": 3}, {"column": "energy", "maximum": 1e6}],
        "elements": {"required": ["O"], "forbidden": ["He"], "allowed": ["O", "H", "C", "He"]},
    }
    folder = screen(candidates=candidates, stages=[stage], block_size=50)
    kept = _selected(folder, "only")
    rows = table(folder / "only").to_pydict()
    wanted = [
        index
        for index, numbers in zip(rows["index"], rows["atomic_numbers"], strict=True)
        if len(numbers) == 3 and 8 in numbers and set(numbers) <= {8, 1, 6}
    ]
    assert sorted(kept["index"]) == wanted != []


def test_of_each_composition_the_best_is_kept_and_none_that_is_known(
    screen: Screen, tmp_path: Path
) -> None:
    candidates = {"kind": "random", "count": 300, "max_atoms": 2, "max_atomic_number": 3}
    ase.io.write(tmp_path / "known.extxyz", Atoms("H2", [(0, 0, 0), (0, 0, 0.74)]))
    stage = {
        "name": "only",
        "novelty": {"by": "composition", "known": str(tmp_path / "known.extxyz")},
        "top": {"by": "energy", "count": 100},
    }
    folder = screen(candidates=candidates, stages=[stage], block_size=40)
    kept = _selected(folder, "only")
    rows = table(folder / "only").to_pydict()
    best: dict[str, float] = {}
    for label, energy in zip(rows["composition"], rows["energy"], strict=True):
        best[label] = min(energy, best.get(label, np.inf))
    del best["H"]
    assert dict(zip(kept["composition"], kept["energy"], strict=True)) == best


def test_the_next_stage_sees_what_was_kept_with_its_index(screen: Screen) -> None:
    stages = [
        {"name": "cheap", "heads": ["molecules"], "top": BY_ENERGY},
        {"name": "dear", "heads": ["everything"], "forces": True},
    ]
    folder = screen(stages=stages, block_size=4)
    dear = table(folder / "dear").to_pydict()
    kept = _selected(folder, "cheap")
    assert dear["index"] == sorted(kept["index"])
    assert set(dear["id"]) == set(kept["id"])


def test_a_column_that_is_not_there_is_told_at_once(screen: Screen) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'energy_per_atom'"):
        screen(stages=[{"name": "only", "top": {"by": "energy_per_atoms", "count": 1}}])
    with pytest.raises(ConfigError, match="needs prototype: true"):
        screen("other", stages=[{"name": "only", "novelty": {"by": "prototype"}}])


def test_the_hull_is_the_cheapest_mixture() -> None:
    # phases A (0), B (0) and AB (-1 per atom): A3B is half A, half AB, so -0.5
    hull = EnergyHull(np.array([(1, 0), (0, 1), (0.5, 0.5), (0.5, 0.5)]), np.array([0, 0, -1, 3]))
    assert hull.energy(np.array([0.75, 0.25])) == pytest.approx(-0.5)
    assert hull.energy(np.array([0.5, 0.5])) == pytest.approx(-1.0)
    assert len(hull.energies) == 3
    only_b = EnergyHull(np.array([(0.0, 1.0)]), np.array([0.0]))
    assert np.isnan(only_b.energy(np.array([0.5, 0.5])))


def test_energies_above_the_hull_of_the_model_are_zero_for_its_phases(
    screen: Screen, tmp_path: Path
) -> None:
    path = str(tmp_path / "phases.extxyz")
    ase.io.write(path, [bulk("Cu"), bulk("Al"), bulk("CuAl", "cesiumchloride", a=2.9)])
    stages = [{"heads": ["crystals"], "hull": {"phases": path}}]
    rows = table(screen(candidates={"kind": "files", "paths": [path]}, stages=stages) / "evaluate")
    above = rows["energy_above_hull"].to_numpy()
    assert above.min() == pytest.approx(0.0, abs=1e-6)
    assert above[:2] == pytest.approx(0.0, abs=1e-6)
    assert above[2] >= -1e-6


CRYSTALS = {
    "AB|A:B6|B:A6": [bulk("NaCl", "rocksalt", a=5.6), bulk("MgO", "rocksalt", a=4.2)],
    "AB|A:B4|B:A4": [bulk("ZnS", "zincblende", a=5.4)],
    "AB|A:A6B8|B:A8B6": [bulk("CsCl", "cesiumchloride", a=4.1)],
    "A|A:A12": [bulk("Cu"), bulk("Al").repeat(2)],
}


@pytest.mark.parametrize("expected", CRYSTALS)
def test_a_prototype_does_not_depend_on_elements_size_or_small_displacements(expected) -> None:
    for crystal in CRYSTALS[expected]:
        crystal = crystal.copy()
        crystal.rattle(0.02, seed=1)
        listed = list_block(block_from_atoms([(0, "made", crystal)]), 5.0, 0.0)
        assert fingerprints(listed) == [expected]
