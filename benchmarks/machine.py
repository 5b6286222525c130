"""What a figure depends on besides the program: the machine, what else runs on it, and memory.

Needs nothing but torch, so that a program under test may run in an environment of its own.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def device_seconds(device: str) -> Iterator[dict[str, float]]:
    """Time between two events on the accelerator, "device" in the table; nothing on the CPU.

    Less than the wall time by what the accelerator waited before its first and after its last task.
    """
    spent: dict[str, float] = {}
    if device != "cuda":
        yield spent
        return
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    yield spent
    last.record()
    torch.cuda.synchronize()
    spent["device"] = first.elapsed_time(last) / 1e3


def copy_bandwidth(device: str, megabytes: int = 256, repeats: int = 5) -> float:
    """GB/s of copying an array that fits into no cache, reading and writing counted; the best."""
    source = torch.ones(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    least = float("inf")
    for _ in range(repeats + 1):
        started = seconds(device)
        target.copy_(source)
        least = min(least, seconds(device).since(started).wall)
    return 2 * source.nbytes / least / 1e9


def free_accelerator_memory() -> float:
    """Give back what the accelerator's cache holds; MB that tensors take, now also the peak."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated() / 1e6


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
