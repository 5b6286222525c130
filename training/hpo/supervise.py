"""A trial from outside: its process, its limits, its learning curve, and how it ended."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from atomfm_calc.config import load_config
from training.config import DurationConfig, PretrainConfig
from training.engine.interruption import RESUME_ME
from training.engine.logs import METRICS_FILE
from training.hpo.campaign import CampaignConfig, score
from training.jobs.campaign import CAMPAIGN_FILE

logger = logging.getLogger(__name__)

Status = Literal[
    "finished", "stopped", "not_finite", "memory", "time", "crashed", "invalid", "interrupted"
]
"""How a trial ended: at its end; early, by its learning curve; with a loss or an error that is no
number; by a limit; in any other way; before it began, as its values make no configuration; or with
the campaign, to go on when that goes on."""
SCORED: tuple[Status, ...] = ("finished", "stopped")
"""Trials that have a score; the others are failures that the search learns from."""

CONFIG_FILE = "config.yaml"
RESULT_FILE = "result.json"
LOG_FILE = "log.txt"
PROCESS_FILE = "process.json"
RUN_FOLDER = "run"
POLL_SECONDS = 0.5
GRACE_SECONDS = 30.0
"""What a trial has to save itself when it is asked to stop."""
LAST_LINES = 5


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One validation during a trial."""

    fraction: float
    """Part of the training that was done."""
    score: float
    """Of the validation errors there."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended."""

    status: Status
    """See `Status`."""
    score: float | None
    """Of the validation errors; None if the trial failed."""
    result: dict[str, Any]
    """What the trial measured (`trial.measure`); of a failure, the `reason`."""
    seconds: float
    """Wall clock of the process."""


class Supervisor:
    """Starts the process of a trial and ends it when it must."""

    def __init__(
        self,
        campaign: CampaignConfig,
        folder: Path,
        launch: Sequence[str],
        worse_than_others: Callable[[Sequence[CurvePoint]], bool],
    ) -> None:
        """Nothing is started.

        Args:
            campaign: limits and objective.
            folder: of the trial, with its `CONFIG_FILE`.
            launch: words in front of the command, such as srun with its options.
            worse_than_others: whether a learning curve is a reason to stop.
        """
        self.campaign = campaign
        self.folder = folder
        self.launch = tuple(launch)
        self.worse_than_others = worse_than_others
        self.interrupted = False
        """Set by the campaign to end the trial, which can go on later."""

    def run(self) -> Outcome:
        """Wait for the end of the trial; its files are in its folder whatever happens."""
        end_process_of(self.folder)
        began = time.monotonic()
        command = [
            *self.launch, sys.executable, "-m", "training.hpo.trial",
            str(self.folder.parent.parent / CAMPAIGN_FILE), str(self.folder / CONFIG_FILE),
            str(self.folder / RESULT_FILE),
        ]  # fmt: skip
        with (self.folder / LOG_FILE).open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        started = psutil.Process(process.pid).create_time()
        content = {"pid": process.pid, "started": started}
        (self.folder / PROCESS_FILE).write_text(json.dumps(content), encoding="utf-8")
        status = self._watch(process, began)
        return self._outcome(status, process.returncode, time.monotonic() - began)

    def _watch(self, process: subprocess.Popen[bytes], began: float) -> Status | None:
        """Wait; the status if the trial was ended from here."""
        limits = self.campaign.limits
        seen = 0
        while process.poll() is None:
            time.sleep(POLL_SECONDS)
            if self.interrupted:
                return _end(process, "interrupted")
            if time.monotonic() - began > 60.0 * limits.max_minutes:
                return _end(process, "time")
            if limits.max_memory_GiB is not None and _gib_of(process.pid) > limits.max_memory_GiB:
                return _end(process, "memory")
            if limits.stop_after_fraction is not None:
                curve = self.curve()
                if len(curve) > seen:
                    seen = len(curve)
                    if self.worse_than_others(curve):
                        return _end(process, "stopped")
        return None

    def curve(self) -> list[CurvePoint]:
        """The validations so far."""
        return read_curve(self.campaign, self.folder)

    def _outcome(self, status: Status | None, code: int, seconds: float) -> Outcome:
        limits = self.campaign.limits
        reasons = {
            "time": f"longer than {limits.max_minutes:g} minutes",
            "memory": f"more than {limits.max_memory_GiB} GiB",
            "interrupted": "the campaign was stopped",
        }
        result = self._result()
        if status in reasons:
            result = {"reason": reasons[status]}
        elif status == "stopped":
            curve = self.curve()
            best = min((point.score for point in curve), default=math.nan)
            if math.isfinite(best):
                result = {"fraction": curve[-1].fraction}
                return Outcome(status="stopped", score=best, result=result, seconds=seconds)
            status, result = "crashed", {"reason": "stopped without a validation"}
        elif "errors" in result:
            value = score(result["errors"], self.campaign.objective)
            if math.isfinite(value):
                return Outcome(status="finished", score=value, result=result, seconds=seconds)
            status = "not_finite"
            result |= {"reason": "a validation error is not a number"}
        elif "failure" in result:
            status = result["failure"]
        else:
            status = "interrupted" if code == RESUME_ME else "crashed"
            result = {"reason": f"exit status {code}: {_last_lines(self.folder / LOG_FILE)}"}
        return Outcome(status=status, score=None, result=result, seconds=seconds)

    def _result(self) -> dict[str, Any]:
        path = self.folder / RESULT_FILE
        if not path.exists():
            return {}
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content


def read_curve(campaign: CampaignConfig, folder: Path) -> list[CurvePoint]:
    """The validations of a trial, from the metrics in its run folder."""
    path = folder / RUN_FOLDER / METRICS_FILE
    if not path.exists():
        return []
    duration = load_config(PretrainConfig, folder / CONFIG_FILE).fit.duration
    points = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):  # a line that is being written
            values = json.loads(line)
            if values["kind"] == "validation":
                value = score(values["errors"], campaign.objective)
                points.append(CurvePoint(fraction=_fraction(values, duration), score=value))
    return points


def _fraction(values: dict[str, Any], duration: DurationConfig) -> float:
    """Of the limit that will be reached first."""
    fractions = [0.0]
    if duration.max_steps is not None:
        fractions.append(values["step"] / duration.max_steps)
    if duration.max_samples is not None:
        fractions.append(sum(values["samples_seen"].values()) / duration.max_samples)
    if duration.time_budget_minutes is not None:
        fractions.append(values["seconds"] / (60.0 * duration.time_budget_minutes))
    return min(1.0, max(fractions))


def end_process_of(folder: Path) -> None:
    """End what is left of a trial's process after the campaign itself was killed."""
    path = folder / PROCESS_FILE
    if not path.exists():
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(content["pid"])
        if process.create_time() == content["started"]:  # and no newer one of the same number
            logger.warning("%s: ending the process that an earlier campaign left", folder)
            os.killpg(content["pid"], signal.SIGKILL)
            process.wait(GRACE_SECONDS)


def _end(process: subprocess.Popen[bytes], status: Status) -> Status:
    """Ask, wait, kill; the whole group, so that no rank is left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS if status in ("interrupted", "stopped") else 5.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return status


def _gib_of(pid: int) -> float:
    """Resident memory of a process and its children."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total / 2**30


def _last_lines(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return " | ".join(line.strip() for line in lines[-LAST_LINES:])
