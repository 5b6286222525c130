"""Six families side by side: size, memory, latency, and accuracy at equal budget.

    python benchmarks/backbones.py work/hpo [--samples 6400] [--out benchmarks/results]

For each campaign folder in the given one, its own first settings ("default") and its best trial
("promoted") are trained anew with another seed on `--samples` structures, which is more than a
trial had, and judged on the test split, which the search has not seen. Runs that are done are not
done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from machine import machine_facts

from atomfm_calc.config import dump_config, load_config
from training.config import DurationConfig, PretrainConfig
from training.evaluate import evaluate_run, evaluation_file
from training.hpo.campaign import CampaignConfig, score
from training.hpo.run import TRIALS_FOLDER
from training.hpo.supervise import CAMPAIGN_FILE, CONFIG_FILE, RESULT_FILE
from training.hpo.table import best_trials, read_table

RUN = "run"
"""Run folder of a training, beside its configuration and result."""
SEED = 1
"""The trials had the seed of their configuration, 0."""


def main() -> None:
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("campaigns", type=Path)
    parser.add_argument("--samples", type=int, default=6400)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    rows = []
    for folder in sorted(path.parent for path in given.campaigns.glob(f"*/{CAMPAIGN_FILE}")):
        best = best_trials(read_table(folder))
        if not best:
            print(f"{folder}: no trial has finished", file=sys.stderr)
            continue
        for name, number in (("default", 0), ("promoted", best[0].number)):
            rows.append(measured(folder, name, number, given.samples))
            print(line(rows[-1]), flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    content = {"samples": given.samples, "machine": machine_facts(), "rows": rows}
    path = given.out / "backbones.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (given.out / "backbones.md").write_text(table(rows, given.samples), encoding="utf-8")
    print(table(rows, given.samples))


def measured(folder: Path, name: str, number: int, samples: int) -> dict[str, Any]:
    """Train a trial's settings on so many structures, if that was not done, and measure."""
    place = folder / "compared" / f"{name}-{number}-{samples}"
    config = trial_config(folder, number)
    fit = replace(config.fit, duration=DurationConfig(max_samples=samples))
    facts = train(folder, place, replace(config, fit=fit, seed=SEED))
    run = place / RUN
    if not (run / evaluation_file("test")).exists():
        evaluate_run(run, "test")
    campaign = load_config(CampaignConfig, folder / CAMPAIGN_FILE)
    test = json.loads((run / evaluation_file("test")).read_text(encoding="utf-8"))
    return {
        "family": campaign.trial.architecture.backbone,
        "settings": name,
        "trial": number,
        "test": test["model"],
        "n_structures": test["n_structures"],
        "score": score(test["model"], campaign.objective),
        **{key: facts[key] for key in (
            "n_parameters", "microseconds_per_atom", "peak_memory_MiB", "seconds",
        )},
    }  # fmt: skip


def trial_config(folder: Path, number: int) -> PretrainConfig:
    """The configuration of a trial of a campaign."""
    return load_config(PretrainConfig, folder / TRIALS_FOLDER / f"{number:04d}" / CONFIG_FILE)


def train(folder: Path, place: Path, config: PretrainConfig) -> dict[str, Any]:
    """Train in `place` as a trial of the campaign in `folder`, if that was not done: its result."""
    result = place / RESULT_FILE
    if not result.exists():
        place.mkdir(parents=True, exist_ok=True)
        dump_config(replace(config, output=place / RUN), place / CONFIG_FILE)
        words = (folder / CAMPAIGN_FILE, place / CONFIG_FILE, result)
        command = [sys.executable, "-m", "training.hpo.trial", *map(str, words)]
        with (place / "log.txt").open("a", encoding="utf-8") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    facts: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return facts


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    errors = " | ".join(
        f"{found['energy_mae_meV_per_atom']:.0f} / {found['forces_mae_meV_per_angstrom']:.0f}"
        for found in row["test"].values()
    )
    return (
        f"| {row['family']} | {row['settings']} | {row['n_parameters']:,} | "
        f"{row['peak_memory_MiB']:.0f} | {row['microseconds_per_atom']:.0f} | "
        f"{row['seconds']:.0f} | {errors} | {row['score']:.3f} |"
    )


def table(rows: list[dict[str, Any]], samples: int) -> str:
    """The table as Markdown."""
    heads = " | ".join(f"{name}, meV/atom / meV/Å" for name in rows[0]["test"])
    names = f"| family | settings | parameters | peak MiB | µs/atom | s | {heads} | test score |"
    rule = "|" + "---|" * (names.count("|") - 1)
    title = f"{samples} structures drawn in training, seed {SEED}; one run each.\n"
    return "\n".join([title, names, rule, *map(line, rows)]) + "\n"


if __name__ == "__main__":
    main()
