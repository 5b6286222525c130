"""How long the program takes to begin: imports and `atomfm --help`, in fresh processes.

    python benchmarks/startup.py [--repeats 9]

The commands take turns; medians are kept in `results/startup.json`. Wanted: the calculator within
half a second of what importing torch takes, `atomfm --help` within 0.4 s.
"""

from __future__ import annotations

import argparse
import json
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


def seconds_of(command: list[str]) -> float:
    """Wall time of a process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(repeats: int) -> dict[str, list[float]]:
    """Least and median seconds of each command; one round to fill the file cache."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats + 1):
        for name, command in COMMANDS.items():
            taken[name].append(seconds_of(command))
    return {
        name: [round(min(times[1:]), 3), round(statistics.median(times[1:]), 3)]
        for name, times in taken.items()
    }


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = measure(given.repeats)
    after_torch = found["import FoundationCalc"][1] - found["import torch"][1]
    content = {
        "machine": machine_facts(),
        "load_average": load_average(),
        "least_and_median_seconds": found,
        "calculator_after_torch": round(after_torch, 3),
        "is_accepted": {
            f"calculator within {MOST_AFTER_TORCH} s of torch": after_torch <= MOST_AFTER_TORCH,
            f"help within {MOST_FOR_HELP} s": found["atomfm --help"][1] <= MOST_FOR_HELP,
        },
    }
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
