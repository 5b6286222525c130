"""A user's file in a run and in shards: keys, units and groups are those that were stated."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from atomfm_calc.config import dump_config, load_config
from atomfm_calc.errors import ConfigError, DataError
from atomfm_calc.units import ENERGY_UNITS
from tests.training.made import CUTOFF, labeled
from training.__main__ import app
from training.assemble import assemble
from training.config import DataConfig, DurationConfig, FitConfig, PretrainConfig
from training.data.prepared import data_file, prepare_file
from training.own_data import OwnData
from training.shards.convert import Order, convert
from training.shards.layout import PLAN_FILE, ConvertSettings, Plan, read_json
from training.training_data import TrainingData

GUIDE = Path(__file__).parents[2] / "docs" / "own-data.md"
N_ROWS, N_RUNS = 60, 12
VIOLENT, NOT_FINITE = 7, 20
"""Rows that are left out by a force and by an energy that is no number."""
FRACTIONS = {"validation_fraction": 0.25, "test_fraction": 0.25}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Rows of 12 runs in turn, with energies under another key and in hartree."""
    frames = []
    for row in range(N_ROWS):
        made = labeled(2 + row % 5, row)
        atoms = Atoms(made.atomic_numbers, positions=made.positions)
        energy = float(made.targets["energy"]) / ENERGY_UNITS["hartree"]
        atoms.info["dft"] = np.nan if row == NOT_FINITE else energy
        atoms.info["run"] = f"run {row % N_RUNS}"
        atoms.arrays["REF_forces"] = made.targets["forces"] * (1e3 if row == VIOLENT else 1.0)
        frames.append(atoms)
    write(tmp_path / "own.extxyz", frames)
    return tmp_path / "own.extxyz"


def _own(path: Path, **fields: Any) -> OwnData:
    return OwnData(path=path, energy_key="dft", energy_unit="hartree", **fields)


def _assembled(own: OwnData) -> TrainingData:
    cache = own.path.parent / "cache"
    return assemble(
        ("mine",), DataConfig(own_files={"mine": own}, cache=cache, **FRACTIONS), CUTOFF
    )


def _rows(data: TrainingData) -> dict[str, set[int]]:
    """Split -> rows of the file."""
    source = data.assembler.source
    return {
        split: set(source.decode(source.fetch(index)).columns["frame"].tolist())
        for split, index in data.splits["mine"].items()
    }


def _run(own_files: dict[str, OwnData | Path]) -> PretrainConfig:
    fit = FitConfig(duration=DurationConfig(max_steps=1))
    data = DataConfig(own_files=own_files)
    return PretrainConfig(output=Path("run"), heads=tuple(own_files), fit=fit, data=data)


def test_a_run_records_keys_and_units_as_they_are_read_back(tmp_path: Path) -> None:
    own = _own(Path("a.db"), group_key="run", stress_unit="kbar", stress_is="virial")
    run = _run({"mine": own, "plain": Path("b.xyz")})
    dump_config(run, tmp_path / "config.yaml")
    assert load_config(PretrainConfig, tmp_path / "config.yaml") == run


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mine.energy_kee=dft", "unknown key 'data.own_files.mine.energy_kee'. .*'energy_key'"),
        ("mine.energy_unit=hartre", "data.own_files.mine: .*no energy unit 'hartre'.*'hartree'"),
        ("new={energy_key: dft}", "missing key 'data.own_files.new.path'"),
        ("mine=3", r"data.own_files.mine: .*give a path.*\(got 3\)"),
    ],
)
def test_a_wrong_word_about_an_own_file_is_named(
    tmp_path: Path, override: str, message: str
) -> None:
    dump_config(_run({"mine": _own(Path("a.db"))}), tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match=f"run.yaml: {message}"):
        load_config(PretrainConfig, tmp_path / "run.yaml", [f"data.own_files.{override}"])


def test_a_run_learns_from_the_stated_keys_and_units(path: Path) -> None:
    data = _assembled(_own(path))
    source = data.assembler.source
    columns = source.decode(source.fetch(np.arange(N_ROWS - 2))).columns
    kept = [row for row in range(N_ROWS) if row not in (VIOLENT, NOT_FINITE)]
    expected = [float(labeled(2 + row % 5, row).targets["energy"]) for row in kept]
    assert columns["frame"].tolist() == kept
    assert columns["energy"].tolist() == pytest.approx(expected, rel=1e-12)
    refused = data.summary["heads"]["mine"]["refused"]
    assert refused == {"energy is not finite": 1, "force above 50.0": 1}


def test_other_keys_and_units_are_not_taken_from_the_cache(path: Path) -> None:
    hartree = _assembled(_own(path))
    rydberg = _assembled(OwnData(path=path, energy_key="dft", energy_unit="rydberg"))
    energies = [
        data.assembler.source.decode(data.assembler.source.fetch(np.arange(5))).columns["energy"]
        for data in (hartree, rydberg)
    ]
    assert (energies[0] / energies[1]).tolist() == pytest.approx([2.0] * 5)
    assert hartree.fingerprint != rydberg.fingerprint
    with pytest.raises(DataError, match=r"own\.extxyz#0 has no energy.*dft_energy_total"):
        _assembled(OwnData(path=path, energy_key="dft_energy_total", forces_key="none"))


def test_groups_come_back_from_the_cache(path: Path) -> None:
    made = [replace(labeled(2, 0), group="run ä"), labeled(3, 1)]
    file, cache = data_file(path), path.parent / "cache"
    first = prepare_file(file, lambda _: made, CUTOFF, cache)
    second = prepare_file(file, lambda _: [], CUTOFF, cache)
    assert first.groups.tolist() == second.groups.tolist() == ["run ä", ""]
    assert len(prepare_file(file, lambda _: [], CUTOFF, cache, "other units").groups) == 0


@pytest.mark.parametrize("attempt", ["read", "from the cache"])
def test_a_run_divides_whole_groups(path: Path, attempt: str) -> None:
    own = _own(path, group_key="run")
    if attempt == "from the cache":
        _assembled(own)
    rows = _rows(_assembled(own))
    runs = [{row % N_RUNS for row in rows[split]} for split in rows]
    assert sum(map(len, runs)) == len(set.union(*runs)) == N_RUNS
    assert min(map(len, runs)) > 0


@pytest.mark.parametrize("group_key", [None, "run"], ids=["composition", "group"])
def test_shards_and_memory_are_divided_alike(path: Path, group_key: str | None) -> None:
    own = _own(path, group_key=group_key)
    settings = ConvertSettings(cutoff=CUTOFF, structures_per_shard=16, **FRACTIONS)
    shards = path.parent / "shards"
    convert(Order(dataset="extxyz", root=path, out=shards, head="mine", settings=settings, own=own))
    from_shards = assemble(("mine",), DataConfig(shards=shards), CUTOFF)
    in_memory = _assembled(own)
    rows = _rows(in_memory)
    assert _rows(from_shards) == rows
    assert min(map(len, rows.values())) > 0
    assert from_shards.infos == in_memory.infos
    assert from_shards.references["mine"] == pytest.approx(in_memory.references["mine"], rel=1e-9)


def _convert(folder: Path, dataset: str, *options: str) -> None:
    arguments = ["convert", dataset, "--out", str(folder / "shards"), "--cutoff", "3.0", *options]
    app(arguments, standalone_mode=False)


def test_a_conversion_does_not_go_on_with_other_keys_or_units(path: Path) -> None:
    folder = path.parent
    head = ("--head", "mine", "--own", str(folder / "own.yaml"))
    dump_config(_own(path), folder / "own.yaml")
    _convert(folder, "extxyz", *head)
    plan = read_json(Plan, folder / "shards" / "mine" / PLAN_FILE)
    assert (plan.own["energy_key"], plan.own["energy_unit"]) == ("dft", "hartree")
    _convert(folder, "extxyz", *head)
    dump_config(OwnData(path=path, energy_key="dft", group_key="run"), folder / "own.yaml")
    expected = "begun with group_key None, now run; energy_unit hartree, now eV; choose"
    with pytest.raises(DataError, match=expected):
        _convert(folder, "extxyz", *head)


def test_the_root_comes_before_the_path_in_the_description(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dump_config(_own(Path("elsewhere.db")), path.parent / "own.yaml")
    options = ("--own", str(path.parent / "own.yaml"), "--root", str(path))
    _convert(path.parent, "extxyz", *options)
    assert "58 structures in 1 shards" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="add --root"):
        _convert(path.parent, "extxyz")
    with pytest.raises(ConfigError, match="units of dataset 'omat24' are those of its authors"):
        _convert(path.parent, "omat24", *options)


def test_the_examples_of_the_guide_can_be_read(tmp_path: Path) -> None:
    run, own = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (tmp_path / "run.yaml").write_text(run)
    (tmp_path / "own.yaml").write_text(own)
    loaded = load_config(PretrainConfig, tmp_path / "run.yaml")
    assert set(loaded.heads) == set(loaded.data.own_files)
    assert load_config(OwnData, tmp_path / "own.yaml") in loaded.data.own_files.values()
