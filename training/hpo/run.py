"""A campaign: propose, run, record, until there are enough trials; goes on after any crash."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import statistics
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from tqdm import tqdm

from atomfm_calc.config import dump_config, load_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.files import write_at_once
from training.engine.interruption import StopRequest
from training.hpo.campaign import CampaignConfig, Value, trial_config
from training.hpo.search import propose
from training.hpo.supervise import (
    CAMPAIGN_FILE,
    CONFIG_FILE,
    RUN_FOLDER,
    CurvePoint,
    Outcome,
    Supervisor,
    end_process_of,
    read_curve,
)
from training.hpo.table import TABLE_FILE, Trial, add_to_table, best_trials, read_table

logger = logging.getLogger(__name__)

TRIALS_FOLDER = "trials"
VALUES_FILE = "values.json"
WAIT_SECONDS = 1.0


def start_campaign(campaign: CampaignConfig, nodes: Sequence[str] = ()) -> list[Trial]:
    """Begin a campaign in a new folder and run it.

    Args:
        campaign: what to search.
        nodes: names of the job's nodes, for the evaluator "nodes".

    Raises:
        ConfigError: the folder holds a campaign already.
    """
    folder = campaign.output
    if (folder / CAMPAIGN_FILE).exists():
        raise ConfigError(f"{folder} holds a campaign already; resume it, or choose another output")
    folder.mkdir(parents=True, exist_ok=True)
    dump_config(campaign, folder / CAMPAIGN_FILE)
    return Campaign(campaign, nodes).run()


def resume_campaign(folder: Path, max_trials: int | None, nodes: Sequence[str]) -> list[Trial]:
    """Go on with a campaign; trials that were broken off go on from their checkpoints.

    Args:
        folder: of the campaign.
        max_trials: a new number of trials; None: the one it had.
        nodes: as in `start_campaign`.

    Raises:
        ConfigError: no campaign there.
    """
    overrides = [] if max_trials is None else [f"max_trials={max_trials}"]
    campaign = load_config(CampaignConfig, folder / CAMPAIGN_FILE, [*overrides, f"output={folder}"])
    dump_config(campaign, folder / CAMPAIGN_FILE)
    return Campaign(campaign, nodes).run()


class Campaign:
    """Trials that run, and the table of those that have ended."""

    def __init__(self, campaign: CampaignConfig, nodes: Sequence[str] = ()) -> None:
        """Read what is there already.

        Raises:
            ConfigError: fewer nodes than a trial needs.
        """
        self.config = campaign
        self.folder = campaign.output
        self.trials = read_table(self.folder)
        self.places = EVALUATORS[campaign.evaluator.kind](campaign, nodes)
        self.lock = threading.Lock()
        self.running: dict[Future[Outcome], tuple[int, Supervisor, list[str]]] = {}

    def run(self) -> list[Trial]:
        """Run trials until there are `max_trials`; fewer if a signal asks to stop.

        Returns:
            All trials of the campaign.
        """
        free = list(self.places)
        unfinished = self._broken_off()
        with StopRequest() as request, ThreadPoolExecutor(len(self.places)) as pool:
            line = tqdm(total=self.config.max_trials, initial=len(self.trials), unit="trial")
            while True:
                while free and not request.received and (unfinished or self._wants_more()):
                    number = unfinished.pop(0) if unfinished else self._propose()
                    problem = self._prepare(number)
                    if problem is None:
                        self._start(pool, number, free.pop())
                    else:
                        line.update(self._record(number, problem))
                if not self.running:
                    break
                done, _ = wait(self.running, WAIT_SECONDS, return_when=FIRST_COMPLETED)
                if request.received:
                    for _, supervisor, _ in self.running.values():
                        supervisor.interrupted = True
                for future in done:
                    number, _, place = self.running.pop(future)
                    free.append(place)
                    line.update(self._record(number, future.result()))
            line.close()
        return self.trials

    @property
    def is_complete(self) -> bool:
        """Whether all trials have ended."""
        return len(self.trials) >= self.config.max_trials

    def folder_of(self, number: int) -> Path:
        """Folder of a trial."""
        return self.folder / TRIALS_FOLDER / f"{number:04d}"

    def _wants_more(self) -> bool:
        return len(self.trials) + len(self.running) < self.config.max_trials

    def _broken_off(self) -> list[int]:
        """Trials that were proposed but have no row; what runs of them is ended."""
        ended = {trial.number for trial in self.trials}
        paths = sorted((self.folder / TRIALS_FOLDER).glob(f"*/{VALUES_FILE}"))
        numbers = [int(path.parent.name) for path in paths if int(path.parent.name) not in ended]
        for number in numbers:
            end_process_of(self.folder_of(number))
        return numbers

    def _propose(self) -> int:
        numbers = [trial.number for trial in self.trials]
        numbers += [number for number, _, _ in self.running.values()]
        number = max(numbers, default=-1) + 1
        running = [self._values(other) for other, _, _ in self.running.values()]
        values = propose(self.config, self.trials, running, number)
        folder = self.folder_of(number)
        folder.mkdir(parents=True, exist_ok=True)
        write_at_once(json.dumps(values).encode(), folder / VALUES_FILE)
        return number

    def _prepare(self, number: int) -> Outcome | None:
        """Write the configuration of a trial; an outcome if its values make none."""
        folder = self.folder_of(number)
        try:
            config = trial_config(self.config, self._values(number), folder / RUN_FOLDER)
        except ConfigError as error:
            return Outcome(status="invalid", score=None, result={"reason": str(error)}, seconds=0.0)
        dump_config(config, folder / CONFIG_FILE)
        return None

    def _values(self, number: int) -> dict[str, Value]:
        text = (self.folder_of(number) / VALUES_FILE).read_text(encoding="utf-8")
        values: dict[str, Value] = json.loads(text)
        return values

    def _start(self, pool: ThreadPoolExecutor, number: int, place: list[str]) -> None:
        supervisor = Supervisor(self.config, self.folder_of(number), place, self._is_worse)
        self.running[pool.submit(supervisor.run)] = (number, supervisor, place)

    def _record(self, number: int, outcome: Outcome) -> int:
        """Add a row, unless the trial will go on later; the number of rows added."""
        if outcome.status == "interrupted":
            return 0
        trial = Trial(
            number=number,
            values=self._values(number),
            status=outcome.status,
            score=outcome.score,
            seconds=outcome.seconds,
            result=outcome.result,
        )
        with self.lock:
            add_to_table(self.folder, trial)
            self.trials.append(trial)
        logger.info(
            "trial %d %s, score %s, %.0f s %s",
            number, outcome.status, outcome.score, outcome.seconds,
            outcome.result.get("reason", ""),
        )  # fmt: skip
        self._tidy()
        return 1

    def _tidy(self) -> None:
        """Remove checkpoints of trials that are not among the best."""
        kept = {trial.number for trial in best_trials(self.trials)[: self.config.keep_runs]}
        for trial in self.trials:
            if trial.number not in kept:
                for path in (self.folder_of(trial.number) / RUN_FOLDER).glob("checkpoint*"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _is_worse(self, curve: Sequence[CurvePoint]) -> bool:
        """Whether a curve is worse than the median of the others' at the same part of training."""
        limits = self.config.limits
        now = curve[-1].fraction
        if limits.stop_after_fraction is None or not limits.stop_after_fraction <= now < 1.0:
            return False
        with self.lock:
            finished = [trial.number for trial in self.trials if trial.status == "finished"]
        others = [best_until(read_curve(self.config, self.folder_of(n)), now) for n in finished]
        known = [score for score in others if score is not None]
        best = best_until(curve, now)
        if best is None or len(known) < limits.stop_after_trials:
            return False
        return best > statistics.median(known)


def best_until(curve: Sequence[CurvePoint], fraction: float) -> float | None:
    """The best score of a curve up to a part of the training; None if it has none there."""
    return min((point.score for point in curve if point.fraction <= fraction), default=None)


def _one_place(campaign: CampaignConfig, nodes: Sequence[str]) -> list[list[str]]:
    return [[]]


def _places_here(campaign: CampaignConfig, nodes: Sequence[str]) -> list[list[str]]:
    return [[] for _ in range(campaign.evaluator.workers)]


def _places_on_nodes(campaign: CampaignConfig, nodes: Sequence[str]) -> list[list[str]]:
    """A launch command for each group of nodes that a trial can have to itself."""
    wanted = campaign.evaluator.nodes_per_trial
    groups = [nodes[first : first + wanted] for first in range(0, len(nodes), wanted)]
    places = [
        shlex.split(
            campaign.evaluator.launch.format(
                nodes=",".join(group), n_nodes=len(group), first=group[0]
            )
        )
        for group in groups
        if len(group) == wanted
    ]
    if not places:
        raise ConfigError(
            f"{len(nodes)} nodes are not enough for trials of {wanted}; name the job's nodes with "
            "--nodes-file, or ask for more"
        )
    return places


EVALUATORS: dict[str, Callable[[CampaignConfig, Sequence[str]], list[list[str]]]] = {
    "serial": _one_place,
    "process": _places_here,
    "nodes": _places_on_nodes,
}
"""Kind -> the places where trials run at the same time, as words in front of their commands."""


def table_file(folder: Path) -> Path:
    """The table of a campaign; ConfigError if there is none."""
    path = folder / TABLE_FILE
    if not path.exists():
        raise ConfigError(f"{folder} holds no trials yet; run the campaign first")
    return path
