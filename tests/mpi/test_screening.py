"""Screening on ranks: the rows of one rank, and none is lost when ranks are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mpi.kill_screening import (
    COMMAND,
    blocks_of,
    check,
    finish,
    run_and_kill,
    write_campaign,
)

pytestmark = [pytest.mark.mpi, pytest.mark.slow]


def test_four_ranks_give_the_rows_of_one(tmp_path: Path) -> None:
    campaign = write_campaign(tmp_path, count=120, block_size=10)
    launcher = Path(sys.executable).parent / "mpiexec"
    command = [str(launcher), "-n", "4", sys.executable, "-c", COMMAND, "--quiet", "screen"]
    done = subprocess.run(
        [*command, str(campaign), "--mpi", "--out", str(tmp_path / "four")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Results are in") == 1  # rank 0 speaks for all
    assert check(campaign, tmp_path / "four", tmp_path / "one") > 100


def test_killed_ranks_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    random.seed(1)
    campaign = write_campaign(tmp_path, count=1500, block_size=5)
    for all_at_once in (True, False):
        run_and_kill(campaign, tmp_path / "killed", 2, all_at_once, longest_s=0.3)
    assert 0 < blocks_of(tmp_path / "killed") < 300
    finish(campaign, tmp_path / "killed", ranks=1)
    assert check(campaign, tmp_path / "killed", tmp_path / "whole") > 1400
