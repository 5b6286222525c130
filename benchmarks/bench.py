"""Side by side: this project and its peers on the same structures; `make bench`.

    python benchmarks/bench.py [--quick] [--cases latency-64 dynamics-Si64] [--programs atomfm mace]
    python benchmarks/bench.py --cases training --hydragnn CHECKOUT --hydragnn-python PYTHON
    python benchmarks/bench.py --report

Each program runs in an environment and a process of its own and takes turns with the others, one
repetition at a time; medians and quartiles are kept in `results/bench.json`, with tables and a plot
beside it. A case can be measured alone, its figures replace those in the file. All networks have
random weights. A program that cannot be installed or cannot do a case stays in the table with the
reason. Other processes on the machine show in the figures: run it on a quiet one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import training_step
from cases import CASES, Case
from contestants import CONTESTANTS, AbsentError, prepare
from machine import copy_bandwidth, load_average, machine_facts
from report import write_report
from worker_process import ProgramAbsentError, WorkerProcess

RESULTS = Path(__file__).parent / "results"
WORKER = Path(__file__).parent / "worker.py"
RETURN_AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Variables with which the C library gives large arrays back, so that a peak is one."""
LEAST_REPEATS = 3
Found = dict[str, dict[str, Any]]


class Field:
    """The programs that take part, each started when it is first needed."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.absent: dict[str, str] = {}
        self.versions: dict[str, dict[str, str]] = {}
        self._running: dict[str, WorkerProcess] = {}

    def start(self, name: str, environment: Mapping[str, str]) -> WorkerProcess:
        """A fresh process.

        Raises:
            AbsentError, ProgramAbsentError: it cannot be installed or started.
        """
        contestant, given = CONTESTANTS[name], self.given
        python = prepare(contestant, torch.__version__.partition("+")[0])
        command = [
            python, WORKER, contestant.adapter, "--device", given.device,
            "--threads", given.threads, "--memory", given.max_memory,
            "--options", json.dumps(contestant.options),
        ]  # fmt: skip
        own = {"OMP_NUM_THREADS": str(given.threads)}
        process = WorkerProcess(command, own | environment)
        self.versions[name] = process.hello["versions"]
        return process

    def ask(self, name: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """One repetition, or the reason why there is none under "error"."""
        try:
            if name not in self._running:
                self._running[name] = self.start(name, {})
            return self._running[name].ask(question, self.given.patience)
        except AbsentError as error:
            self.absent[name] = str(error)
            return {"error": f"absent: {error}"}
        except ProgramAbsentError as error:
            self._running.pop(name, None)
            return {"error": str(error)}

    def ask_once(self, name: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """The same in a process of its own, which gives memory back at once."""
        try:
            with self.start(name, RETURN_AT_ONCE) as process:
                return process.ask(question, self.given.patience)
        except (AbsentError, ProgramAbsentError) as error:
            return {"error": str(error)}

    def close(self) -> None:
        """End all processes."""
        for process in self._running.values():
            process.close()


def measure(field: Field, case: Case, given: argparse.Namespace) -> Found:
    """Take turns; what was found for each program."""
    question = case.question
    programs = [name for name in case.programs if name in given.programs]
    if question["task"] == "memory":
        answers = {name: [field.ask_once(name, question)] for name in programs}
        return {name: summary(found) for name, found in answers.items()}
    started = time.monotonic()
    answers = {name: [field.ask(name, question)] for name in programs}
    for repeat in range(1, given.repeats):
        if repeat >= LEAST_REPEATS and time.monotonic() - started > given.seconds:
            break
        for name, found in answers.items():
            if "error" not in found[-1]:
                found.append(field.ask(name, question))
    return {name: summary(found) for name, found in answers.items()}


def summary(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Quartiles of wall and processor time per unit of work, and facts; or what went wrong."""
    if "error" in answers[-1]:
        return {"error": answers[-1]["error"]}
    work = answers[0]["work"]
    result: dict[str, Any] = {"repeats": len(answers)}
    for clock in ("wall", "cpu", "device"):
        if clock in answers[0]:
            seconds = [answer[clock] / work for answer in answers]
            quartiles = np.percentile(seconds, (25, 50, 75))
            result[f"{clock}_seconds"] = [float(f"{value:.4g}") for value in quartiles]
    for fact in ("neighbor_seconds", "peak_MB", "temperature_K", "n_atoms"):
        if fact in answers[0]:
            result[fact] = float(f"{np.median([answer[fact] for answer in answers]):.4g}")
    if "neighbor_seconds" in result:
        share = result.pop("neighbor_seconds") / np.median([a["wall"] for a in answers])
        result["neighbor_share"] = round(float(share), 4)
    return result


def run(given: argparse.Namespace, path: Path) -> None:
    """Measure the cases that are asked for and merge them into the file."""
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content.setdefault("programs", {})
    content.setdefault("cases", {})
    content["machine"] = machine_facts(given.device)
    content["copy_bandwidth_GB_per_s"] = round(copy_bandwidth(given.device), 1)
    field = Field(given)
    for name in given.cases:
        before = load_average()
        found = measure(field, CASES[name], given)
        content["cases"][name] = {
            "title": CASES[name].title,
            "device": given.device,
            "threads": given.threads,
            "load_average": [before, load_average()],
            "programs": found,
        }
        for program in found:
            facts = {"about": CONTESTANTS[program].about}
            if program in field.absent:
                facts["absent"] = field.absent[program]
            else:
                facts["versions"] = field.versions.get(program, {})
            content["programs"][program] = facts
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(found), flush=True)
    field.close()


def run_hydragnn(given: argparse.Namespace) -> None:
    """Its training step beside ours, with its own benchmark."""
    training_step.main(
        ["--hydragnn", str(given.hydragnn), "--hydragnn-python", str(given.hydragnn_python),
         "--max-edges", "6000", "--batches", "1", "--threads", str(given.threads),
         "--device", given.device, "--precisions", "fp32", "--no-memory",
         "--out", str(given.output.with_name("hydragnn.json"))]
    )  # fmt: skip


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES)
    parser.add_argument("--quick", action="store_true", help="a few small cases, three repeats")
    parser.add_argument("--programs", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=9, help="at most")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a case, about, at most")
    parser.add_argument("--patience", type=float, default=120.0, help="s for one repetition")
    parser.add_argument("--max-memory", type=float, default=16.0, help="GB of one process")
    parser.add_argument("--hydragnn", type=Path, help="folder of a checkout of HydraGNN")
    parser.add_argument("--hydragnn-python", type=Path, default=sys.executable)
    parser.add_argument("--output", type=Path, default=RESULTS / "bench.json")
    parser.add_argument("--report", action="store_true", help="only tables and plot, again")
    given = parser.parse_args(arguments)
    if given.quick:
        given.repeats = LEAST_REPEATS
    if given.cases is None:
        given.cases = [name for name, case in CASES.items() if case.is_quick or not given.quick]
    return given


def main(arguments: Sequence[str]) -> None:
    """Measure, save, report."""
    given = read_arguments(arguments)
    torch.set_num_threads(given.threads)
    if not given.report:
        if given.hydragnn is not None:
            run_hydragnn(given)
        run(given, given.output)
    print(write_report(given.output))


if __name__ == "__main__":
    main(sys.argv[1:])
