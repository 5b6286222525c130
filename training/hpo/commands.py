"""`python -m training hpo`: run a campaign, resume it, report it, promote its best trial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Search for good settings with DeepHyper."
)

Folder = Annotated[Path, typer.Argument(help="Folder of a campaign.")]
NodesFile = Annotated[
    Path | None, typer.Option(help="Names of the job's nodes, one a line, for evaluator nodes.")
]


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="Campaign in YAML.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, in place of what the file says.")
    ] = None,
    nodes_file: NodesFile = None,
) -> None:
    """Run a campaign; exit status 75 if it was stopped and `resume` goes on."""
    from atomfm_calc.config import load_config
    from training.hpo.campaign import CampaignConfig
    from training.hpo.run import start_campaign

    _quiet()
    campaign = load_config(CampaignConfig, config, overrides or ())
    trials = start_campaign(campaign, _names(nodes_file))
    _end(campaign.output, len(trials), campaign.max_trials)


@app.command()
def resume(
    folder: Folder,
    max_trials: Annotated[int | None, typer.Option(min=1, help="A new number of trials.")] = None,
    nodes_file: NodesFile = None,
) -> None:
    """Go on with a campaign; trials that were broken off go on from their checkpoints."""
    from atomfm_calc.config import load_config
    from training.hpo.campaign import CampaignConfig
    from training.hpo.run import resume_campaign
    from training.hpo.supervise import CAMPAIGN_FILE

    _quiet()
    trials = resume_campaign(folder, max_trials, _names(nodes_file))
    wanted = load_config(CampaignConfig, folder / CAMPAIGN_FILE).max_trials
    _end(folder, len(trials), wanted)


@app.command()
def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option(help="HTML file; else in the folder.")] = None,
) -> None:
    """Write an HTML page: best so far, parameters, importance, Pareto front, failures."""
    from training.hpo.report import write_report

    typer.echo(write_report(folder, out or folder / "report.html"))


@app.command()
def promote(
    folder: Folder,
    out: Annotated[Path, typer.Argument(help="YAML file to write.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Number; else the best.")] = None,
) -> None:
    """Write the best trial as a pretraining configuration."""
    from training.hpo.promote import promote as write

    chosen = write(folder, out, trial)
    typer.echo(f"{out}: trial {chosen.number}, score {chosen.score:.4f}")


def _quiet() -> None:
    """DeepHyper tells how long each of its steps took."""
    import logging

    logging.getLogger("deephyper").setLevel(logging.WARNING)


def _names(path: Path | None) -> list[str]:
    if path is None:
        return []
    return list(dict.fromkeys(path.read_text(encoding="utf-8").split()))


def _end(folder: Path, n_trials: int, wanted: int) -> None:
    from training.engine.interruption import RESUME_ME
    from training.hpo.table import best_trials, read_table

    best = best_trials(read_table(folder))
    words = f"; best: trial {best[0].number}, score {best[0].score:.4f}" if best else ""
    typer.echo(f"{n_trials} of {wanted} trials{words}")
    if n_trials < wanted:
        typer.echo(f"go on with: python -m training hpo resume {folder}", err=True)
        raise typer.Exit(RESUME_ME)
