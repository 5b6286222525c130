"""A whole campaign: stage after stage, each on what the one before kept; the same on every rank."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ase.io

from atomfm_calc.calculators.budget import budget_of
from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.config import config_to_dict, dump_config, load_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.files import replacing, write_at_once
from atomfm_calc.screening.campaign import Campaign, Stage, block_size_of
from atomfm_calc.screening.evaluation import StageEvaluator
from atomfm_calc.screening.hull import read_hull
from atomfm_calc.screening.manifest import Journals, StageFolder
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.runner import StageWork, run_stage
from atomfm_calc.screening.selection import SELECTED_FILE, select
from atomfm_calc.screening.sinks import SINKS
from atomfm_calc.screening.sources import open_source
from atomfm_calc.screening.structures import CandidateSource
from atomfm_calc.screening.team import Team

logger = logging.getLogger(__name__)

CAMPAIGN_FILE, MANIFEST_FILE, BEST_FILE = "campaign.yaml", "manifest.json", "selected.extxyz"
FREE_TO_CHANGE = ("device", "max_atoms", "max_edges")
"""Keys of a campaign that a continuation may change: they move no result but by rounding."""
POLL_S = 0.5
MOST_IN_EXTXYZ = 10_000
"""Structures; a longer selection stays a table."""

Report = Callable[[StageWork, Journals], None]


def run_campaign(
    campaign: Campaign,
    folder: Path,
    team: Team | None = None,
    report: Report = lambda work, journals: None,
) -> None:
    """Screen, or go on where a run with the same campaign was stopped.

    Args:
        campaign: the same on all ranks.
        folder: of the results; all ranks see the same one.
        team: place of this process; None: it is alone.
        report: is called now and then with what is done.

    Raises:
        ConfigError: the folder holds results of another campaign, or the campaign cannot be run.
        DataError: candidates that are not there.
    """
    team = team or Team()
    evaluator = open_evaluator(campaign)
    source = open_source(campaign.candidates)
    _agree(campaign, evaluator, source, folder, team)
    for stage in campaign.stages:
        work = stage_work(campaign, stage, evaluator, source, folder / stage.name)
        run_stage(work, team, partial(report, work))
        is_last = stage is campaign.stages[-1]
        if not stage.selects and (is_last or stage.relax is None):
            continue
        path = folder / stage.name / SELECTED_FILE
        if team.rank == 0 and not path.exists():
            select(
                stage, work.folder, work.sink, work.source, work.block_size, work.evaluator.cutoff
            )
        _wait_for(path)
        kept = FileSource([path.as_posix()], keeps_index=True)
        logger.info("stage %s kept %d of %d", stage.name, kept.n_candidates, source.n_candidates)
        source = kept
        if is_last and team.rank == 0:
            _write_best(kept, folder / BEST_FILE)


def open_evaluator(campaign: Campaign) -> Evaluator:
    """The model of a campaign on its device.

    Raises:
        UnknownNameError, WeightsError, SetupError: as in `FoundationCalc`.
    """
    settings = CalculatorSettings(
        device=campaign.device,
        default_dtype=campaign.dtype,
        allow_unseen_elements=campaign.allow_unseen_elements,
    )
    return Evaluator(prepare_model(campaign.model, settings), settings)


def stage_work(
    campaign: Campaign,
    stage: Stage,
    evaluator: Evaluator,
    source: CandidateSource,
    folder: Path,
) -> StageWork:
    """What a rank needs to compute a stage."""
    sink = SINKS[campaign.sink]()
    budget = budget_of(evaluator.device.type, campaign.max_atoms, campaign.max_edges)
    heads = StageEvaluator(evaluator, stage, budget)
    return StageWork(
        source=source,
        block_size=block_size_of(campaign, source.n_candidates),
        evaluator=heads,
        hull=None if stage.hull is None else read_hull(stage.hull, evaluator, heads.heads[0]),
        shortest_distance=campaign.shortest_distance,
        folder=StageFolder(folder, sink.suffix),
        sink=sink,
    )


def _agree(
    campaign: Campaign, evaluator: Evaluator, source: CandidateSource, folder: Path, team: Team
) -> None:
    """Write down what the results depend on, or find that they depend on the same."""
    facts = {
        "n_candidates": source.n_candidates,
        "files": list(source.content),
        "block_size": block_size_of(campaign, source.n_candidates),
        "model": evaluator.card.label,
        "weights_sha256": evaluator.card.weights_sha256,
        "stages": [stage.name for stage in campaign.stages],
    }
    manifest = folder / MANIFEST_FILE
    if team.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if not manifest.exists():
            dump_config(campaign, folder / CAMPAIGN_FILE)
            write_at_once(json.dumps(facts, indent=1).encode(), manifest)
    _wait_for(manifest)
    _check_same(
        config_to_dict(load_config(Campaign, folder / CAMPAIGN_FILE)),
        config_to_dict(campaign),
        folder,
    )
    _check_same(json.loads(manifest.read_text(encoding="utf-8")), facts, folder)


def _check_same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    for key, value in now.items():
        if key not in FREE_TO_CHANGE and before.get(key) != value:
            raise ConfigError(
                f"{folder} was begun with {key} {before.get(key)!r}, now it is {value!r}; continue "
                "with what it was begun with, or name another folder"
            )


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(POLL_S)


def _write_best(source: FileSource, path: Path) -> None:
    if source.n_candidates > MOST_IN_EXTXYZ:
        return
    structures = []
    for name, atoms in source.structures():
        atoms.info["id"] = name
        structures.append(atoms)
    with replacing(path) as partial:
        ase.io.write(partial, structures, format="extxyz")
