"""Converting on three ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.shards.made import content
from training.shards.convert import Order, convert
from training.shards.layout import ConvertSettings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "training" / "collection" / "reference"
pytestmark = pytest.mark.mpi


def _on_three_ranks(dataset: str, root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    launcher = Path(sys.executable).parent / "mpiexec"
    command = [sys.executable, "-m", "training", "convert", dataset]
    options = ["--root", str(root), "--out", str(out), "--structures-per-shard", "30"]
    return subprocess.run(
        [str(launcher), "-n", "3", *command, *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_three_ranks_write_the_bytes_of_one_process(tmp_path: Path) -> None:
    done = _on_three_ranks("pbe-svp", REFERENCE, tmp_path / "three")
    assert done.returncode == 0, done.stderr
    settings = ConvertSettings(structures_per_shard=30)
    convert(Order(dataset="pbe-svp", root=REFERENCE, out=tmp_path / "one", settings=settings))
    assert content(tmp_path / "three") == content(tmp_path / "one")


def test_an_error_on_one_rank_ends_all_of_them(tmp_path: Path) -> None:
    frame = '1\nProperties=species:S:1:pos:R:3 REF_energy=1.0 pbc="F F F"\nH 0 0 0\n'
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.extxyz").write_text(frame * 30)
    (tmp_path / "b.extxyz").write_text(frame * 29 + frame.replace("H 0 0 0", "H 0 zero 0"))
    done = _on_three_ranks("extxyz", tmp_path, tmp_path / "out")
    assert done.returncode != 0
    assert "b.extxyz#29" in done.stderr
    assert not (tmp_path / "out" / "extxyz" / "index.json").exists()
    assert (tmp_path / "out" / "extxyz" / "shard-00002.json").exists()
