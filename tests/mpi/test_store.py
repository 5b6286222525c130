"""The distributed store on three ranks of one machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RANKS = 3
pytestmark = [pytest.mark.mpi, pytest.mark.slow]


def _run(*cases: str, ranks: int = RANKS, answers: bool = False) -> dict[str, list[str]]:
    """Case -> what each rank said; `answers`: MPI serves readers in a thread of its own."""
    launcher = Path(sys.executable).parent / "mpiexec"
    script = ROOT / "tests" / "mpi" / "read_store.py"
    # mpi4py.run: an error on one rank ends all, instead of leaving the others to wait
    python = [sys.executable, "-m", "mpi4py.run", str(script)]
    done = subprocess.run(
        [str(launcher), "-n", str(ranks), *python, *cases],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "MPICH_ASYNC_PROGRESS": str(int(answers)),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {case: re.findall(rf"^{case} \d: (.*)$", done.stdout, re.MULTILINE) for case in cases}


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    """Of the cases that share one start of the processes."""
    return _run("together", "copies", "few", "undivided", "different", "apart")


@pytest.mark.parametrize(
    ("case", "slices"),
    [
        ("together", "[9, 8, 7]"),  # of about as many bytes, so of unequal numbers
        ("copies", "[24]"),
        ("few", "[1, 0, 1]"),  # a rank that has nothing
    ],
)
def test_every_rank_reads_every_structure(
    said: dict[str, list[str]], case: str, slices: str
) -> None:
    assert said[case] == [slices] * RANKS


def test_ranks_without_common_memory_read_through_mpi() -> None:
    assert _run("apart", ranks=2, answers=True)["apart"] == ["[13, 11]"] * 2


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("apart", "do not answer reads while they compute"),
        ("undivided", "width 2 does not divide the 3 ranks"),
        ("different", "rank 1 has 21 structures and rank 0 has 20"),
    ],
)
def test_what_cannot_work_is_refused_on_every_rank(
    said: dict[str, list[str]], case: str, message: str
) -> None:
    assert len(said[case]) == RANKS
    assert all(message in line for line in said[case])
