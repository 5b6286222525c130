"""The best trial of a campaign as a pretraining configuration, with where it comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from atomfm_calc.config import dump_config, load_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.models.weights import sha256_of
from training.config import PretrainConfig
from training.hpo.campaign import CampaignConfig
from training.hpo.run import TRIALS_FOLDER, table_file
from training.hpo.supervise import CAMPAIGN_FILE, CONFIG_FILE
from training.hpo.table import Trial, best_trials, read_table


def promote(folder: Path, path: Path, number: int | None = None) -> Trial:
    """Write the configuration of a trial, ready for `python -m training pretrain`.

    Only `output` differs from the trial; a longer `fit.duration`, more heads and other data are for
    the big run to say.

    Args:
        folder: of the campaign.
        path: the YAML file to write.
        number: of the trial; None: the finished one of the best score.

    Raises:
        ConfigError: no such trial, or none has finished.
    """
    trials = read_table(folder)
    finished = best_trials(trials)
    if number is not None:
        finished = [trial for trial in finished if trial.number == number]
    if not finished:
        which = "no trial has finished" if number is None else f"trial {number} has not finished"
        raise ConfigError(f"{folder}: {which}; there is nothing to promote")
    trial = finished[0]
    campaign = load_config(CampaignConfig, folder / CAMPAIGN_FILE)
    source = folder / TRIALS_FOLDER / f"{trial.number:04d}" / CONFIG_FILE
    config = load_config(PretrainConfig, source)
    dump_config(replace(config, output=Path("work/runs") / path.stem), path)
    comment = [
        f"Trial {trial.number} of {len(trials)} of the campaign {campaign.output.name}",
        f"(table of trials: SHA-256 {sha256_of(table_file(folder))}).",
        f"Score {trial.score:.4f}: {campaign.objective.rule} of validation errors in units of",
        f"{campaign.objective.energy_unit_meV_per_atom:g} meV/atom and "
        f"{campaign.objective.forces_unit_meV_per_angstrom:g} meV/Å; the campaign's own values "
        f"had {_first_score(trials)}.",
        *(f"{key}: {value}" for key, value in trial.values.items()),
    ]
    text = "".join(f"# {line}\n" for line in comment) + path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return trial


def _first_score(trials: list[Trial]) -> str:
    first = [trial for trial in trials if trial.number == 0]
    return "none" if not first or first[0].score is None else f"{first[0].score:.4f}"
