"""What a run tells: a progress line for people, JSON lines for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from atomfm_calc.files import write_at_once

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class RunLog:
    """Progress line on a terminal, log lines elsewhere, and `metrics.jsonl` in the run folder."""

    def __init__(
        self, folder: Path, *, step: int = 0, writes: bool = True, tensorboard: bool = False
    ) -> None:
        """Open the log of a run, or of a part of it.

        Args:
            folder: exists; lines are added to what an earlier part of the run has written.
            step: where this part begins; what was written of later steps, before the run was
                killed, is forgotten, since they are made again.
            writes: of one rank only; the others stay silent.
            tensorboard: also write the figures for TensorBoard.
        """
        self.path = folder / METRICS_FILE
        self._writes = writes
        if writes:
            _forget_after(step, self.path)
        self._board = _board(folder / TENSORBOARD_FOLDER, step) if writes and tensorboard else None
        self._line = tqdm(
            total=100.0,
            disable=None if writes else True,  # None: no progress line without a terminal
            bar_format="{l_bar}{bar:20}| {elapsed}<{remaining} {postfix}",
            mininterval=1.0,
        )

    def record(self, kind: str, values: dict[str, Any]) -> None:
        """Add a line to the metrics; numbers, also those in nested tables, go to TensorBoard."""
        if not self._writes:
            return
        if self._board is not None:
            for name, value in _numbers(kind, values):
                self._board.add_scalar(name, value, values["step"])
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **values}) + "\n")

    def progress(self, fraction: float, values: dict[str, float]) -> None:
        """Move the progress line to `fraction` of the run."""
        self._line.update(100.0 * fraction - self._line.n)
        text = " ".join(
            f"{name} {value}" if isinstance(value, int) else f"{name} {value:.4g}"
            for name, value in values.items()
        )
        self._line.set_postfix_str(text, refresh=False)
        if self._line.disable and self._writes:
            logger.info("%5.1f %% %s", 100.0 * fraction, text)

    def message(self, text: str) -> None:
        """A text of several lines, beside the progress line."""
        for line in text.splitlines() if self._writes else ():
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
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # only who asks for it needs the package

    return SummaryWriter(str(folder), purge_step=step + 1)


def _forget_after(step: int, path: Path) -> None:
    """Drop the lines of later steps, and one that was cut off."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n") and json.loads(line)["step"] <= step:
            kept.append(line)
    write_at_once("".join(kept).encode(), path)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """Every number in nested tables, named "a/b/c"."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{name}/{key}", inner)
    elif isinstance(value, int | float):
        yield name, float(value)
