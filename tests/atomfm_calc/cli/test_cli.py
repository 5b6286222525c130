"""The command line from end to end, on a tiny model folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from atomfm_calc.cli import main
from atomfm_calc.cli.doctor import REQUIREMENT
from tests.made.hydragnn import MadeRun
from tests.made.hydragnn import write as write_run
from tests.made.models import HEADS, make_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_model_folder(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def crystals(tmp_path: Path) -> Path:
    salt = bulk("NaCl", "rocksalt", a=5.4)
    salt.rattle(0.05, seed=0)
    ase.io.write(tmp_path / "salt.extxyz", [salt, salt * (2, 1, 1)])
    return tmp_path / "salt.extxyz"


def run(*arguments: object) -> int:
    """The exit status of one call."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_models_are_listed_described_and_verified(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("models", "list") == 0
    assert run("models", "show", model) == 0
    assert run("models", "show", model, "--head", "ions") == 0
    assert run("models", "verify", model) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in HEADS)
    assert "uses charge" in text
    assert "tiny 0.0.1: intact, 4 heads" in text


def test_predict_writes_energies_forces_and_stress(
    model: str, crystals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "results.extxyz"
    assert run("predict", crystals, "--model", model, "--out", out) == 0
    first, second = ase.io.read(out, ":")
    assert second.get_potential_energy() == pytest.approx(
        2 * first.get_potential_energy(), rel=1e-5
    )
    assert second.get_stress() == pytest.approx(first.get_stress(), abs=1e-5)
    assert first.get_forces().shape == (2, 3)
    assert first.info["atomfm_head"] == "crystals"
    assert "Cl2Na2" in capsys.readouterr().out


def test_predict_compares_all_heads(
    model: str, crystals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.extxyz"
    assert run("predict", crystals, "--model", model, "--head", "all", "--out", out) == 0
    frame = ase.io.read(out, 0)
    assert np.isfinite(frame.info["energy_crystals"])
    assert frame.arrays["forces_everything"].shape == (2, 3)
    assert "left out: head 'ions' has seen no Cl, Na" in capsys.readouterr().out


def test_a_structure_that_no_head_knows_does_not_stop_the_others(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mixed.extxyz"
    ase.io.write(file, [Atoms("Og"), molecule("H2O")])
    assert run("predict", file, "--model", model, "--head", "all") == 0
    assert "1 of 2 structures were refused by every head" in capsys.readouterr().out
    ase.io.write(file, [Atoms("Og"), Atoms("Og")])
    assert run("predict", file, "--model", model, "--head", "all") == 2
    assert "no head can compute any structure; the first: head" in capsys.readouterr().err


def test_a_relaxation_leaves_a_folder_and_does_not_replace_it(
    model: str, crystals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("run", "relax", crystals, "--model", model, "--out", tmp_path / "relaxed")
    assert run(*command, "--max-force", 10) == 0
    content = json.loads((tmp_path / "relaxed" / "result.json").read_text())
    assert content["result"]["converged"] is True
    assert content["made_by"]["head"] == "crystals"
    assert len(ase.io.read(tmp_path / "relaxed" / "relaxed.extxyz")) == 4
    assert run(*command) == 2
    assert "already holds a trajectory" in capsys.readouterr().err
    assert run(*command, "--overwrite", "--max-steps", 0, "--max-force", 1e-9) == 1


def test_dynamics_can_be_run_and_resumed(model: str, crystals: Path, tmp_path: Path) -> None:
    command = ("run", "md", crystals, "--model", model, "--index", 0, "--out", tmp_path / "md")
    assert run(*command, "--steps", 10, "--temperature-K", 10) == 0
    assert run(*command, "--steps", 20, "--temperature-K", 10, "--resume") == 0
    frames = ase.io.read(tmp_path / "md" / "trajectory.traj", ":")
    assert [frame.info["md_step"] for frame in frames] == [0, 10, 20]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("predict", "none.xyz"), "there is no file none.xyz"),
        (("models", "show", "no-model"), "no model 'no-model'"),
        (("run", "relax", "FILE", "--cell", "free"), "no cell 'free'"),
        (("run", "md", "FILE", "--index", "7"), "has no structure 7"),
        (("predict", "FILE", "--head", "dft"), "no head 'dft'"),
        (("predict", "FILE", "--out", "FILE"), "is the input file"),
    ],
)
def test_a_users_error_is_one_message(
    model: str,
    crystals: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    text: str,
) -> None:
    given = [str(crystals) if word == "FILE" else word for word in arguments]
    if given[0] != "models":
        given += ["--model", model]
    assert run(*given) == 2
    error = capsys.readouterr().err
    assert text in error
    assert "Traceback" not in error


def test_debug_shows_where_an_error_arose(tmp_path: Path) -> None:
    from atomfm_calc.errors import DataError

    with pytest.raises(DataError):
        main(["--debug", "predict", str(tmp_path / "none.xyz")])


def test_a_file_that_cannot_be_read_is_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.extxyz").write_text("three\nwords\n")
    assert run("predict", tmp_path / "broken.extxyz", "--model", model) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_molecule_that_the_default_head_does_not_know_is_explained(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    assert run("predict", tmp_path / "water.xyz", "--model", model) == 2
    assert "These heads cover them: molecules, ions, everything" in capsys.readouterr().err


def test_the_doctor_reports_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    text = capsys.readouterr().out
    assert "vesin" in text
    assert "CUDA devices" in text


def test_requirements_of_extras_are_recognized() -> None:
    match = REQUIREMENT.match("torch-dftd>=0.5; python_version < '4' and extra == 'd3'")
    assert match is not None
    assert (match["package"], match["extra"]) == ("torch-dftd", "d3")
    assert REQUIREMENT.match("numpy>=1.26") is None


@pytest.mark.parametrize("module", ["atomfm_calc", "atomfm_calc.cli"])
def test_importing_loads_no_torch(module: str) -> None:
    program = f"import sys, {module}; sys.exit('torch' in sys.modules or 'ase' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_checkpoint_of_hydragnn_becomes_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(MadeRun(biased=True), tmp_path / "run")
    assert run("models", "import-hydragnn", tmp_path / "run", "--out", tmp_path / "model") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "heads branch-0, branch-1, branch-2" in told
    assert "two water molecules 50 Å apart" in told
    assert "in 20 orientations spreads over" in told
    ase.io.write(tmp_path / "water.extxyz", molecule("H2O"))
    assert run("predict", tmp_path / "water.extxyz", "--model", tmp_path / "model") == 0


def test_an_unknown_choice_of_neighbors_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "model", "--neighbors", "few")
    assert run("models", "import-hydragnn", tmp_path, *out) == 2
    assert "no choice of neighbors 'few'" in capsys.readouterr().err
