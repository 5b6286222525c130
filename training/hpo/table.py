"""The table of trials: a line of JSON for each, and the same as CSV for people."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from atomfm_calc.files import write_at_once
from training.hpo.campaign import Value
from training.hpo.supervise import SCORED, Status

TABLE_FILE = "trials.jsonl"
CSV_FILE = "trials.csv"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that has ended."""

    number: int
    """From 0; the first has the campaign's own values."""
    values: Mapping[str, Value]
    """Of the parameters."""
    status: Status
    """How it ended."""
    score: float | None
    """Smaller is better; None if it failed."""
    seconds: float
    """Wall clock."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """What it measured, or why it failed."""

    @property
    def has_score(self) -> bool:
        """Whether it can be compared."""
        return self.status in SCORED and self.score is not None

    @property
    def cost(self) -> float | None:
        """µs per atom of energy and forces; None if it was not measured."""
        return self.result.get("microseconds_per_atom")


def read_table(folder: Path) -> list[Trial]:
    """Trials of a campaign in the order in which they ended; a line cut off by a crash is none."""
    path = folder / TABLE_FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Trial(**json.loads(line)) for line in lines if line.endswith("\n")]


def add_to_table(folder: Path, trial: Trial) -> None:
    """Add a line, on the disk when this returns, and write the CSV again."""
    path = folder / TABLE_FILE
    known = read_table(folder)
    if path.exists() and not path.read_bytes().endswith(b"\n"):  # cut off by a crash
        rows = "".join(json.dumps(asdict(row)) + "\n" for row in known)
        write_at_once(rows.encode(), path)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(trial)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    write_csv([*known, trial], folder / CSV_FILE)


def write_csv(trials: Sequence[Trial], path: Path) -> None:
    """One row per trial: number, status, score, cost, size, time, and each parameter."""
    measured = ("microseconds_per_atom", "n_parameters", "peak_memory_MiB", "reason")
    names = list(dict.fromkeys(name for trial in trials for name in trial.values))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "status", "score", "seconds", *measured, *names])
        for trial in sorted(trials, key=lambda trial: trial.number):
            facts = [trial.number, trial.status, trial.score, round(trial.seconds, 1)]
            found = [trial.result.get(name) for name in measured]
            writer.writerow([*facts, *found, *(trial.values.get(name) for name in names)])


def scores_of(trials: Sequence[Trial]) -> list[float]:
    """Scores of the trials that have one, in order."""
    return [trial.score for trial in trials if trial.score is not None]


def costs_of(trials: Sequence[Trial]) -> list[float]:
    """Costs of the trials of which they were measured, µs per atom, in order."""
    return [trial.cost for trial in trials if trial.cost is not None]


def best_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Finished trials, the best one first; one that was stopped early is not among them."""
    finished = [trial for trial in trials if trial.status == "finished" and trial.has_score]
    return sorted(finished, key=lambda trial: (trial.score, trial.number))


def pareto_front(trials: Sequence[Trial]) -> list[Trial]:
    """Finished trials that no other one beats in both score and cost, cheapest first."""
    front: list[Trial] = []
    for trial in sorted(best_trials(trials), key=lambda trial: (trial.cost, trial.score)):
        if not front or trial.score < front[-1].score:  # type: ignore[operator]
            front.append(trial)
    return front
