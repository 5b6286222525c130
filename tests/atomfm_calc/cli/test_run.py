"""`atomfm run`: every workflow from the command line, on EMT in place of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.io.trajectory import Trajectory

from atomfm_calc.cli import main
from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import CalculatorOptions

pytest.importorskip("matplotlib")


class Potential(EMT):
    """EMT that says what it is, as models do."""

    heads: dict[str, object] = {}
    head = "EMT"

    def fingerprint(self) -> dict[str, str]:
        return {"model": "EMT"}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """With structures; the commands compute with EMT."""
    monkeypatch.setattr(CalculatorOptions, "load", lambda self: Potential())
    slab = fcc111("Cu", (1, 1, 3), a=3.59, vacuum=6.0)
    oxygen = slab.copy()
    add_adsorbate(oxygen, "O", 1.2, "fcc")
    other = slab.copy()
    add_adsorbate(other, "O", 1.2, "hcp")
    files = {"cu": bulk("Cu", a=3.59), "water": molecule("H2O"), "slab": slab, "oxygen": oxygen,
             "other": other, "o": Atoms("O"), "cubic": bulk("Cu", cubic=True)}  # fmt: skip
    for name, atoms in files.items():
        ase.io.write(tmp_path / f"{name}.extxyz", atoms)
    with Trajectory(str(tmp_path / "md.traj"), "w") as file:
        for frame in range(40):
            atoms = bulk("Cu", cubic=True)
            atoms.rattle(0.1, seed=frame)
            atoms.info["md_time_fs"] = 10.0 * frame
            file.write(atoms)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def atomfm(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


COMMANDS = {
    "relax": "relax cubic.extxyz --cell full --max-force 0.1",
    "md": "md cubic.extxyz --steps 20 --ensemble npt-mtk --timestep-fs 2",
    "eos": "eos cu.extxyz --points 5 --equation vinet",
    "elastic": "elastic cu.extxyz --strains 2",
    "phonons": "phonons cu.extxyz --supercell 2 2 2 --no-relax",
    "quasi-harmonic": "quasi-harmonic cu.extxyz --supercell 2 2 2 --points 5",
    "vibrations": "vibrations water.extxyz --max-force 0.01",
    "neb": "neb oxygen.extxyz other.extxyz --images 1 --max-force 0.1",
    "surface": "surface slab.extxyz --bulk cu.extxyz",
    "adsorption": "adsorption oxygen.extxyz --slab slab.extxyz --molecule o.extxyz",
    "rdf": "rdf md.traj --max-distance 4 --frames :3",
    "diffusion": "diffusion md.traj",
}
"""Command -> the words after `atomfm run`."""


@pytest.mark.parametrize("name", COMMANDS)
def test_a_workflow_leaves_its_result_and_its_picture(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in ("phonons", "quasi-harmonic"):
        pytest.importorskip("phonopy")
    assert atomfm("run", *COMMANDS[name].split(), "--out", "new", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((folder / "new" / "result.json").read_text())
    assert printed["made_by"] == (None if name in ("rdf", "diffusion") else {"model": "EMT"})
    assert (folder / "new" / f"{name}.png").is_file()
    assert atomfm("run", *COMMANDS[name].split(), "--out", "new") == ExitStatus.MISUSED
    assert "already holds" in capsys.readouterr().err


def test_an_interrupted_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("run", "elastic", "cu.extxyz", "--no-relax", "--out", "new")
    calculate, n_calls = EMT.calculate, [0]

    def count(self: EMT, *arguments: Any, **named: Any) -> None:
        n_calls[0] += 1
        if n_calls[0] == 10:
            raise KeyboardInterrupt
        calculate(self, *arguments, **named)

    monkeypatch.setattr(EMT, "calculate", count)
    assert atomfm(*words) == ExitStatus.RESUME
    assert len(ase.io.read(folder / "new" / "computed.traj", ":")) == 9
    assert atomfm(*words) == ExitStatus.MISUSED
    assert atomfm(*words, "--resume") == ExitStatus.DONE
    assert n_calls[0] == 10 + 25 - 9  # one without strain, six times four with


def test_the_table_shows_numbers_with_their_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert atomfm("run", "eos", "cu.extxyz") == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "bulk_modulus_GPa" in line)
    assert float(row.split()[-2]) == pytest.approx(134.4, abs=1.0)
    assert "volumes" not in shown
    assert np.isfinite(json.loads(Path("cu-eos/result.json").read_text())["result"]["energies"][0])
