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


@app.command()
def submit(
    config: Annotated[Path, typer.Argument(help="Campaign in YAML.")],
    cluster: Annotated[str, typer.Option(help="frontier, aurora, perlmutter, or a YAML.")],
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of each job, for all its trials.")],
    time: Annotated[str | None, typer.Option(help="HH:MM:SS of each job.")] = None,
    account: Annotated[str | None, typer.Option(help="Project to charge.")] = None,
    queue: Annotated[str | None, typer.Option(help="Else the first that takes the job.")] = None,
    chain: Annotated[int, typer.Option(min=1, help="Jobs in a row until it is finished.")] = 1,
    environment: Annotated[
        Path | None, typer.Option(help="Python environment: a folder or a packed archive.")
    ] = None,
    really: Annotated[bool, typer.Option("--submit", help="Submit it, not only print.")] = False,
) -> None:
    """Print the job script of a campaign on a cluster, or submit it."""
    from atomfm_calc.config import load_config
    from atomfm_calc.errors import ConfigError
    from training.hpo.campaign import CampaignConfig
    from training.jobs.campaign import render_campaign
    from training.jobs.cluster import load_cluster
    from training.jobs.commands import run_or_print
    from training.jobs.render import Job

    campaign = load_config(CampaignConfig, config)
    wanted = campaign.evaluator.nodes_per_trial
    if nodes < wanted:
        raise ConfigError(f"--nodes {nodes} is less than evaluator.nodes_per_trial, {wanted}")
    job = Job(
        cluster=load_cluster(cluster), nodes=nodes, config=config, output=campaign.output,
        project=Path.cwd(), python="python", time=time, account=account, queue=queue,
        chain=chain, environment=environment,
    )  # fmt: skip
    run_or_print(job, render_campaign(job, wanted), really=really)


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
