"""How long the program takes to begin: imports and `atomfm --help`, in fresh processes.

    python benchmarks/startup.py [--repeats 9]

The commands take turns; the figures are kept in `results/startup.json`. On a busy machine the least
processor time tells more than the median of the wall time. Wanted: the calculator
within half a second of what importing torch takes, `atomfm --help` within 0.4 s (wall medians).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import load_average, machine_facts

RESULTS = Path(__file__).parent / "results" / "startup.json"
PYTHON = [sys.executable, "-c"]
COMMANDS: dict[str, list[str]] = {
    "python": [*PYTHON, "pass"],
    "import torch": [*PYTHON, "import torch"],
    "import atomfm_calc": [*PYTHON, "import atomfm_calc"],
    "import FoundationCalc": [*PYTHON, "from atomfm_calc import FoundationCalc"],
    "atomfm --help": [str(Path(sys.executable).with_name("atomfm")), "--help"],
}
MOST_AFTER_TORCH, MOST_FOR_HELP = 0.5, 0.4
"""Seconds."""


def seconds_of(command: list[str]) -> tuple[float, float]:
    """Wall and processor time of a process."""
    started, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - started, os.times()
    user = after.children_user - before.children_user
    return wall, user + after.children_system - before.children_system


def measure(repeats: int) -> dict[str, dict[str, float]]:
    """Seconds of each command; one round to fill the file cache."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(repeats + 1):
        for name, command in COMMANDS.items():
            taken[name].append(seconds_of(command))
    result = {}
    for name, times in taken.items():
        walls, processors = zip(*times[1:], strict=True)
        result[name] = {
            "wall_least": round(min(walls), 3),
            "wall_median": round(statistics.median(walls), 3),
            "processor_least": round(min(processors), 3),
        }
    return result


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = measure(given.repeats)
    after_torch = {
        clock: round(found["import FoundationCalc"][clock] - found["import torch"][clock], 3)
        for clock in found["python"]
    }
    content = {
        "machine": machine_facts(),
        "load_average": load_average(),
        "seconds": found,
        "calculator_after_torch": after_torch,
        "is_accepted": {
            f"calculator within {MOST_AFTER_TORCH} s of torch": after_torch["wall_median"]
            <= MOST_AFTER_TORCH,
            f"help within {MOST_FOR_HELP} s": found["atomfm --help"]["wall_median"]
            <= MOST_FOR_HELP,
        },
    }
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
