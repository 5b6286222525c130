"""The side-by-side benchmark: turns, absent programs, what a case cannot do, the tables."""

from __future__ import annotations

import importlib
import json
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from ase.calculators.lj import LennardJones

from tests.house.sources import ROOT

WORKER = """
import json, sys
name = json.loads(sys.argv[-1]).get("kernel", "own")
print(json.dumps({"versions": {"made": "1"}}), flush=True)
for line in sys.stdin:
    open(LOG, "a").write(name + "\\n")
    if name == "own":
        facts = {"wall": 0.2, "cpu": 0.3, "work": 2, "neighbor_seconds": 0.01}
        print(json.dumps(facts), flush=True)
    else:
        print(json.dumps({"error": "not offered: forces"}), flush=True)
"""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a file of the benchmarks as the script that it is."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    return importlib.import_module


@pytest.fixture
def bench(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The driver with a worker that computes nothing and writes down when it is asked."""
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.replace("LOG", repr(str(tmp_path / "asked.txt"))), encoding="utf-8")
    module: ModuleType = load("bench")
    monkeypatch.setattr(module, "WORKER", worker)
    return module


def found_by(bench: ModuleType, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    output = tmp_path / "out.json"
    given = bench.read_arguments([*arguments, "--repeats", "2", "--output", str(output)])
    bench.run(given, output)
    content: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return content


def test_seconds_are_per_step_and_the_share_of_the_neighbor_list_is_kept(
    bench: ModuleType, tmp_path: Path
) -> None:
    content = found_by(bench, tmp_path, "--cases", "dynamics-Si64", "--programs", "atomfm")
    found = content["cases"]["dynamics-Si64"]["programs"]["atomfm"]
    assert found["wall_seconds"] == [0.1, 0.1, 0.1]  # 0.2 s for 2 steps
    assert found["neighbor_share"] == 0.05  # 0.01 s of 0.2 s
    assert content["programs"]["atomfm"]["versions"] == {"made": "1"}


def test_programs_take_turns_and_one_that_cannot_is_asked_once(
    bench: ModuleType, tmp_path: Path
) -> None:
    found_by(bench, tmp_path, "--cases", "latency-8", "--programs", "atomfm", "reference")
    asked = (tmp_path / "asked.txt").read_text(encoding="utf-8").split()
    assert asked == ["own", "reference", "own"]


def test_a_case_that_is_measured_later_is_added_to_the_file(
    bench: ModuleType, tmp_path: Path
) -> None:
    found_by(bench, tmp_path, "--cases", "latency-8", "--programs", "atomfm")
    content = found_by(bench, tmp_path, "--cases", "latency-64", "--programs", "atomfm")
    assert set(content["cases"]) == {"latency-8", "latency-64"}


def test_a_program_that_pip_cannot_install_is_absent_with_the_reason(
    bench: ModuleType, load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "WARNING: slow\nERROR: No matching distribution found for schnetpack\n"
    failed = SimpleNamespace(returncode=1, stderr=said)
    contestants = load("contestants")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(
        bench, "prepare", lambda *given: contestants.prepare(*given, tmp_path / "environments")
    )
    content = found_by(bench, tmp_path, "--cases", "latency-8", "--programs", "schnetpack")
    reason = "ERROR: No matching distribution found for schnetpack"
    assert content["programs"]["schnetpack"]["absent"] == reason
    assert content["cases"]["latency-8"]["programs"]["schnetpack"] == {"error": f"absent: {reason}"}


def test_the_table_says_how_many_times_better_ours_is(load: Any) -> None:
    cell = load("report").cell
    programs = {
        "atomfm": {"wall_seconds": [0.1, 0.1, 0.1], "peak_MB": 10.0},
        "peer": {"wall_seconds": [0.5, 0.5, 0.5], "peak_MB": 25.0},
        "other": {"error": "not offered: one head"},
    }
    assert cell(programs, "atomfm", "latency") == "100"
    assert cell(programs, "peer", "latency") == "500 (5.0×)"
    assert cell(programs, "peer", "dynamics") == "2 (5.0×)"
    assert cell(programs, "peer", "memory") == "25 (2.5×)"
    assert cell(programs, "other", "latency") == "no: not offered: one head"
    assert cell(programs, "absent", "latency") == "–"


def test_every_case_names_programs_and_a_task_that_exist(load: Any) -> None:
    contestants, tasks = load("contestants").CONTESTANTS, load("tasks").TASKS
    adapters = load("worker").ADAPTERS
    for case in load("cases").CASES.values():
        assert case.question["task"] in tasks
        assert set(case.programs) <= set(contestants)
    for contestant in contestants.values():
        module = adapters[contestant.adapter].replace(".", "/")
        assert (ROOT / "benchmarks" / f"{module}.py").exists()


def test_dynamics_begins_where_the_repetition_before_it_began(load: Any) -> None:
    calculator = LennardJones(sigma=2.1, epsilon=0.01, rc=3.0)
    program = SimpleNamespace(calculator=lambda: calculator, spent_on_neighbors=lambda: None)
    repeat = load("tasks").dynamics(program, {"structure": "Si64", "steps": 1})
    assert repeat() == repeat()


def test_every_call_of_a_latency_is_computed(load: Any) -> None:
    computed = []

    class Counting(LennardJones):
        def calculate(self, *given: Any) -> None:
            computed.append(1)
            super().calculate(*given)

    program = SimpleNamespace(calculator=lambda: Counting(sigma=2.1, rc=3.0))
    repeat = load("tasks").latency(program, {"structure": "MgO8", "calls": 1})
    assert [repeat()["work"] for _ in range(3)] == [1, 1, 1]
    assert len(computed) == 3


def test_what_a_worker_cannot_do_is_an_answer(load: Any) -> None:
    worker, tasks = load("worker"), load("tasks")

    def refuse() -> None:
        raise tasks.NotOfferedError("no ASE calculator")

    program = SimpleNamespace(calculator=refuse, device="cpu")
    line = json.dumps({"task": "latency", "structure": "MgO8", "calls": 1})
    assert worker.answer(program, {}, line) == {"error": "not offered: no ASE calculator"}


def test_at_most_the_nearest_neighbors_are_kept(load: Any) -> None:
    (atoms,) = load("structures").paper_structures(1)
    graph = load("adapters.atomfm").make_graph(atoms, 20, torch.float64)
    counts = torch.bincount(graph.edge_index[0], minlength=len(atoms))
    ends = graph.positions[graph.edge_index[1]] - graph.positions[graph.edge_index[0]]
    distances = torch.cdist(graph.positions, graph.positions).sort(dim=1).values  # itself first
    expected = (distances[:, 1:] < 5.0).sum(dim=1).clamp(max=20)
    assert torch.equal(counts, expected)
    farthest = torch.zeros(len(atoms), dtype=torch.float64).scatter_reduce(
        0, graph.edge_index[0], ends.norm(dim=1), "amax"
    )
    full = expected == 20
    assert torch.allclose(farthest[full], distances[full, 20])
