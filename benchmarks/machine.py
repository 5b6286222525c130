"""What a figure depends on besides the program: the machine, what else runs on it, and memory.

Needs nothing but torch, so that a program under test may run in an environment of its own.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import NamedTuple

import torch

_STATUS = Path("/proc/self/status")


class Seconds(NamedTuple):
    """Since some moment in the past."""

    wall: float
    """By the clock on the wall; grows with whatever else runs on the machine."""
    cpu: float
    """Of all threads of this process together; hardly grows with that."""

    def since(self, earlier: Seconds) -> Seconds:
        """From then until now."""
        return Seconds(self.wall - earlier.wall, self.cpu - earlier.cpu)


def seconds(device: str) -> Seconds:
    """Now, when the device has done what was asked of it."""
    if device == "cuda":
        torch.cuda.synchronize()
    return Seconds(time.perf_counter(), time.process_time())


def machine_facts(device: str = "cpu") -> dict[str, str | int]:
    """Processor or accelerator, cores, versions."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    accelerator = torch.cuda.get_device_name() if device == "cuda" else "none"
    return {
        "processor": model[0] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "accelerator": accelerator,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def load_average() -> float:
    """Processes that wanted a core during the last minute, this one among them."""
    return round(os.getloadavg()[0], 1)


def peak_memory(device: str) -> float:
    """The most memory of this process so far, MB: resident, or of the accelerator's tensors.

    Two values differ by what was needed between them only if the process did nothing large before.
    """
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    # ru_maxrss would do, but a process begins with the value of the one that started it
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    kibibytes = next(line for line in lines if line.startswith("VmHWM")).split()[1]
    return int(kibibytes) * 1024 / 1e6
