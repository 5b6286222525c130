"""How far a screening is: structures per second, time left, how far the slowest rank is behind."""

from __future__ import annotations

import logging
import time
from collections import Counter
from pathlib import Path

from atomfm_calc.screening.manifest import Journals
from atomfm_calc.screening.runner import StageWork
from atomfm_calc.screening.team import Team

logger = logging.getLogger(__name__)

EVERY_S = 10.0
"""Between two lines of the log."""
LOOK_BACK_S = 120.0
"""The rate is that of so much time past."""


class Progress:
    """One log line now and then, from rank 0 only; it reads the journals of all ranks."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self._last = 0.0
        self._stage = ""
        self._history: list[tuple[float, int]] = []
        self.n_rows, self.n_quarantined = 0, 0

    def report(self, work: StageWork, journals: Journals) -> None:
        """Log how far a stage is, if it is time."""
        now = time.monotonic()
        is_new = work.evaluator.stage.name != self._stage
        if self.team.rank or not (is_new or now - self._last >= EVERY_S):
            return
        journals.refresh()
        records = journals.finished()
        n_done = sum(record.n_rows + record.n_quarantined for record in records)
        if is_new:
            self._stage, self._history = work.evaluator.stage.name, []
        self._last = now
        self._history.append((now, n_done))
        self._history = [entry for entry in self._history if now - entry[0] <= LOOK_BACK_S]
        logger.info("%s", self._line(work, journals, n_done))

    def _line(self, work: StageWork, journals: Journals, n_done: int) -> str:
        total = work.source.n_candidates
        (start, before), (now, _) = self._history[0], self._history[-1]
        rate = (n_done - before) / (now - start) if now > start else 0.0
        left = f"{duration((total - n_done) / rate)} left" if rate > 0.0 else "time left unknown"
        lost = sum(record.n_quarantined for record in journals.finished())
        line = (
            f"{work.evaluator.stage.name}: {n_done:,} of {total:,} ({n_done / max(total, 1):.1%}), "
            f"{rate:,.0f} structures/s, {left}, {lost:,} quarantined"
        )
        return f"{line}{self._lag(work, journals)}"

    def _lag(self, work: StageWork, journals: Journals) -> str:
        """How many blocks of its share the slowest rank has still to do, and the fastest."""
        if self.team.ranks == 1:
            return ""
        done = Counter(
            rank
            for rank in range(self.team.ranks)
            for block in self.team.share_of(rank, work.n_blocks)
            if block in journals.records
        )
        open_blocks = [
            len(self.team.share_of(rank, work.n_blocks)) - done[rank]
            for rank in range(self.team.ranks)
        ]
        slowest = max(range(self.team.ranks), key=lambda rank: open_blocks[rank])
        return f"; blocks left per rank {min(open_blocks)} to {max(open_blocks)} (rank {slowest})"

    def summary(self, folder: Path) -> str:
        """What to do with the results."""
        return (
            f"Results are in {folder}: open {folder}/{self._stage}/rows with pandas, Polars or "
            f"DuckDB; look at them with `atomfm screen report {folder}`"
        )


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, the two largest of them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days:,} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
