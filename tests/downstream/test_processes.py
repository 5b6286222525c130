"""However many processes train a cell, the same model comes out."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from atomfm_calc import FoundationCalc
from downstream.processes import ALONE, Processes
from tests.downstream.run_ranks import POTENTIAL, fine_tune
from training.config import BatchLimits

ROOT = Path(__file__).parents[2]


def _launch(model: Path, output: Path, world_size: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.downstream.run_ranks", str(model), str(output)]
    ranks = []
    for rank in range(world_size):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size}
        place |= {"LOCAL_WORLD_SIZE": world_size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = os.environ | {name: str(value) for name, value in place.items()}
        ranks.append(subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE))
    deadline = time.monotonic() + 300.0
    while any(rank.poll() is None for rank in ranks):
        if time.monotonic() > deadline or any(rank.poll() for rank in ranks):
            for rank in ranks:  # the others wait for the one that has failed
                rank.kill()
        time.sleep(0.1)
    messages = b"\n".join(rank.communicate()[1] for rank in ranks).decode()
    assert [rank.returncode for rank in ranks] == [0] * world_size, messages[-4000:]


def _cells(output: Path) -> dict[str, Any]:
    paths = output.glob("cells/*/*/*/*/result.json")
    return {str(path.relative_to(output)): json.loads(path.read_text()) for path in paths}


@pytest.mark.slow
def test_two_processes_come_to_the_result_of_one(pretrained: Path, tmp_path: Path) -> None:
    _launch(pretrained, tmp_path / "two", 2)
    fine_tune(pretrained, tmp_path / "one" / "property")
    fine_tune(pretrained, tmp_path / "one" / "potential", potential=POTENTIAL)
    for kind in ("property", "potential"):
        one, two = _cells(tmp_path / "one" / kind), _cells(tmp_path / "two" / kind)
        assert one.keys() == two.keys()
        assert len(one) == 2
        for name, cell in one.items():
            # sums of float32 in another order
            assert two[name]["metrics"] == pytest.approx(cell["metrics"], rel=1e-3), name
    assert FoundationCalc(tmp_path / "two" / "potential" / "seed-0" / "model").head == "dimers"


def test_processes_share_the_structures_of_a_step() -> None:
    limits = BatchLimits(max_atoms=10)
    assert ALONE.limits(limits, 16).max_structures == 16
    three = [Processes(rank=rank, world_size=3) for rank in range(3)]
    assert three[0].limits(limits, 16).max_structures == 6
    plans = [plan for one in three for plan in one.plans([{"new": 1.0}, {"old": 1.0}])]
    assert [plan.stream.number for plan in plans] == [0, 1, 2, 3, 4, 5]
    assert [plan.stream.place for plan in plans] == [0, 0, 1, 1, 2, 2]
