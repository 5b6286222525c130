"""Clocks that jump: runs count their own seconds, and claims of nobody do not live on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from atomfm_calc.screening.manifest import Claims, StageFolder
from training.config import DurationConfig
from training.engine.duration import Progress

HOUR = 3600.0
OTHER_HOST = '{"host": "somewhere-else", "process": 1, "rank": 3}'


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_jumps_does_not_end_or_prolong_a_run(
    monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    progress = Progress(DurationConfig(time_budget_minutes=10.0))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    assert 0.0 <= progress.seconds < 60.0
    assert progress.fraction() < 0.1


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_claim_from_before_a_jump_is_taken_over(tmp_path: Path, jump: float) -> None:
    folder = StageFolder(tmp_path, ".parquet")
    folder.claims.mkdir(parents=True)
    claim = folder.claims / "block-0000007"
    claim.write_text(OTHER_HOST, encoding="utf-8")
    before = time.time() - jump  # the clock was set on by `jump` since
    os.utime(claim, (before, before))
    with Claims(folder, rank=0) as claims:
        assert claims.take(7)


def test_a_claim_that_is_renewed_is_respected(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, ".parquet")
    folder.claims.mkdir(parents=True)
    (folder.claims / "block-0000007").write_text(OTHER_HOST, encoding="utf-8")
    with Claims(folder, rank=0) as claims:
        assert not claims.take(7)
