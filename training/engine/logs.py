"""What a run tells: a progress line for people, JSON lines for programs."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"


class RunLog:
    """Progress line on a terminal, log lines elsewhere, and `metrics.jsonl` in the run folder."""

    def __init__(self, folder: Path) -> None:
        """`folder` exists; lines are added to what an earlier part of the run has written."""
        self.path = folder / METRICS_FILE
        self._line = tqdm(
            total=100.0,
            disable=None,  # no terminal: no progress line
            bar_format="{l_bar}{bar:20}| {elapsed}<{remaining} {postfix}",
            mininterval=1.0,
        )

    def record(self, kind: str, values: dict[str, Any]) -> None:
        """Add a line to the metrics."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")

    def progress(self, fraction: float, values: dict[str, float]) -> None:
        """Move the progress line to `fraction` of the run."""
        self._line.update(100.0 * fraction - self._line.n)
        text = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._line.set_postfix_str(text, refresh=False)
        if self._line.disable:
            logger.info("%5.1f %% %s", 100.0 * fraction, text)

    def message(self, text: str) -> None:
        """A text of several lines, beside the progress line."""
        for line in text.splitlines():
            if self._line.disable:
                logger.info("%s", line)
            else:
                self._line.write(line)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._line.close()
