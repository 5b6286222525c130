"""Where the time of a step goes."""

from __future__ import annotations

import time

import torch

PARTS = ("data", "forward", "backward", "communication", "optimizer")
"""Of a step, in metrics as `seconds_data` and so on. Communication that runs beside the backward
pass is counted there; the part named so is what is left to wait for."""


class Stopwatch:
    """Seconds of each part of one step."""

    def __init__(self, device: torch.device, exact: bool) -> None:
        """With `exact`, wait for the device at every mark.

        Its work is then counted where it is asked for; costs a little speed on an accelerator.
        """
        self._wait = exact and device.type != "cpu"
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._last = time.perf_counter()

    def mark(self, part: str) -> None:
        """All time since the last mark belongs to `part`."""
        if self._wait:
            torch.accelerator.synchronize()
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())
