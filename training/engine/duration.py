"""How much of a run is over, by steps, samples and clock."""

from __future__ import annotations

import time

from training.config import DurationConfig


class Progress:
    """Counts steps, samples and seconds over all parts of an interrupted run."""

    def __init__(self, config: DurationConfig) -> None:
        self.config = config
        self.step = 0
        self.samples = 0
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._agreed: float | None = None

    @property
    def seconds(self) -> float:
        """Wall clock so far, s."""
        return self._seconds_before + time.monotonic() - self._started

    def resume(self, step: int, samples: int, seconds: float) -> None:
        """Go on from counts that an earlier part of the run has saved."""
        self.step, self.samples, self._seconds_before = step, samples, seconds
        self._started = time.monotonic()

    def agree(self, seconds: float) -> None:
        """Go by one rank's clock: all must stop at the same step."""
        self._agreed = seconds

    def fraction(self) -> float:
        """Part of the run that is over, from 0 to 1: the largest over the given limits."""
        config, parts = self.config, [0.0]
        seconds = self.seconds if self._agreed is None else self._agreed
        if config.max_steps is not None:
            parts.append(self.step / max(config.max_steps, 1))
        if config.time_budget_minutes is not None:
            parts.append(seconds / (60.0 * config.time_budget_minutes))
        if config.max_samples is not None:
            parts.append(self.samples / max(config.max_samples, 1))
        return min(max(parts), 1.0)
