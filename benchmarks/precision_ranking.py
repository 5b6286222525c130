"""Does the precision of training change which trial of a search is the best?

    python benchmarks/precision_ranking.py work/hpo/painn [--trials 8] [--out benchmarks/results]

The first finished trials of a campaign are trained again as they were, once in double precision
with the same seed and once in single precision with another: the second is what chance alone does.
Each is scored as in the search, on validation structures. Runs that are done are not done again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from backbones import SEED, train, trial_config
from machine import machine_facts
from scipy.stats import spearmanr

from atomfm_calc.config import load_config
from training.config import PretrainConfig
from training.hpo.campaign import CampaignConfig, score
from training.hpo.supervise import CAMPAIGN_FILE, Status
from training.hpo.table import Trial, read_table


def main() -> None:
    """Train what is missing, then write table and rank correlations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    finished = [trial for trial in read_table(given.campaign) if trial.status == FINISHED]
    rows = [measured(given.campaign, trial) for trial in finished[: given.trials]]
    content = {"machine": machine_facts(), "rows": rows, "rank correlation": correlations(rows)}
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"precision-ranking-{given.campaign.name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(rows, content["rank correlation"]))


FINISHED: Status = "finished"
CASES = {"fp64": ("fp64", None), "fp32, other seed": ("fp32", SEED)}
"""Precision and seed; None: that of the trial."""


def measured(campaign: Path, trial: Trial) -> dict[str, Any]:
    """Scores of a trial as it was, in double precision, and with another seed."""
    config = trial_config(campaign, trial.number)
    objective = load_config(CampaignConfig, campaign / CAMPAIGN_FILE).objective
    row: dict[str, Any] = {"trial": trial.number, config.fit.precision: trial.score}
    for name, (precision, seed) in CASES.items():
        place = (
            campaign / "precision" / f"{name.replace(', ', '-').replace(' ', '-')}-{trial.number}"
        )
        facts = train(campaign, place, changed(config, precision, seed))
        row[name] = score(facts["errors"], objective)
    print(json.dumps(row), flush=True)
    return row


def changed(config: PretrainConfig, precision: str, seed: int | None) -> PretrainConfig:
    """The same run in another precision, or with another seed."""
    fit = replace(config.fit, precision=precision)
    return replace(config, fit=fit, seed=config.seed if seed is None else seed)


def correlations(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Spearman's rank correlation of each column with the trials as they were."""
    own, *others = [name for name in rows[0] if name != "trial"]
    return {
        name: round(float(spearmanr([r[own] for r in rows], [r[name] for r in rows])[0]), 3)
        for name in others
    }


def table(rows: list[dict[str, Any]], ranks: dict[str, float]) -> str:
    """Scores and correlations as Markdown."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for row in sorted(rows, key=lambda row: float(row[names[1]])):
        scores = " | ".join(f"{row[name]:.3f}" for name in names[1:])
        lines.append(f"| {row['trial']} | {scores} |")
    lines.append("")
    lines += [f"rank correlation with {name}: {value}" for name, value in ranks.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
