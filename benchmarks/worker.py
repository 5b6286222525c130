"""One program under test, in its own environment; started by `bench.py`, not by people.

Each line of the standard input is a case, each line of the standard output the answer: seconds of
one repetition, or what went wrong. The first time a case comes it is prepared and done once without
being counted. What the program prints goes to the standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from importlib import import_module
from typing import Any

import torch
from machine import device_seconds, seconds
from tasks import TASKS, NotOfferedError, Repetition

ADAPTERS = {
    "atomfm": "adapters.atomfm",
    "schnetpack": "adapters.schnetpack",
    "graph-pes": "adapters.graph_pes",
    "mace": "adapters.mace",
    "chgnet": "adapters.chgnet",
    "torchsim": "adapters.torchsim",
}
"""Modules with `make(device, options)`, which gives a `tasks.Program`, and `PACKAGES`."""


def limit_memory(gigabytes: float) -> None:
    """Let an allocation beyond that fail in this process, instead of the machine."""
    limit = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def repetition(repeat: Repetition, device: str) -> dict[str, Any]:
    """Seconds and facts of one repetition."""
    started = seconds(device)
    with device_seconds(device) as on_device:
        facts = repeat()
    spent = seconds(device).since(started)
    return {"wall": spent.wall, "cpu": spent.cpu, **on_device, **facts}


def answer(program: Any, known: dict[str, Repetition], line: str) -> dict[str, Any]:
    """To a line of the input."""
    case = json.loads(line)
    try:
        if line not in known:
            known.clear()  # one case at a time, or memory would fill up
            known[line] = TASKS[case["task"]](program, case)
            if case["task"] != "memory":
                known[line]()
        return repetition(known[line], program.device)
    except NotOfferedError as error:
        return {"error": f"not offered: {error}"}
    except (RuntimeError, MemoryError, ValueError, TypeError, KeyError, AttributeError) as error:
        known.clear()
        text = str(error).strip() or type(error).__name__
        return {"error": f"{type(error).__name__}: {text.splitlines()[0][:200]}"}


def main() -> None:
    """Answer requests until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("adapter", choices=ADAPTERS)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory", type=float, default=0.0, help="GB at most; 0: no limit")
    parser.add_argument("--options", type=json.loads, default={}, help="of the adapter, JSON")
    given = parser.parse_args()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if given.memory and given.device == "cpu":
        limit_memory(given.memory)
    torch.set_num_threads(given.threads)
    adapter = import_module(ADAPTERS[given.adapter])
    program = adapter.make(given.device, given.options)
    torch.set_num_threads(given.threads)  # some libraries set it when they are imported
    answers.write(json.dumps({"versions": versions(adapter.PACKAGES)}) + "\n")
    known: dict[str, Repetition] = {}
    for line in sys.stdin:
        answers.write(json.dumps(answer(program, known, line)) + "\n")


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Of what the figures depend on."""
    from importlib.metadata import version

    return {name: version(name) for name in (*packages, "torch", "numpy", "ase")}


if __name__ == "__main__":
    main()
