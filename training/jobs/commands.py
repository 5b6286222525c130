"""`python -m training submit`: render a job script and, when asked, submit it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.jobs.render import Job


def submit(
    cluster: Annotated[str, typer.Option(help="local, frontier, aurora, perlmutter, or a YAML.")],
    config: Annotated[Path, typer.Option(help="Configuration of the run.")],
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of each job.")] = 1,
    time: Annotated[str | None, typer.Option(help="HH:MM:SS of each job.")] = None,
    account: Annotated[str | None, typer.Option(help="Project to charge.")] = None,
    queue: Annotated[str | None, typer.Option(help="Else the first that takes the job.")] = None,
    chain: Annotated[int, typer.Option(min=1, help="Jobs in a row until it is finished.")] = 1,
    environment: Annotated[
        Path | None, typer.Option(help="Python environment: a folder or a packed archive.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print script and commands.")] = False,
    really: Annotated[bool, typer.Option("--submit", help="Write the script, submit it.")] = False,
) -> None:
    """Render the job script of a run on a cluster; a chain goes on where the last job stopped."""
    import sys

    from atomfm_calc.config import load_config
    from atomfm_calc.errors import ConfigError
    from training.config import PretrainConfig
    from training.jobs.cluster import load_cluster
    from training.jobs.render import Job, render_script

    if dry_run == really:
        raise ConfigError("give --dry-run to see what would run, or --submit to run it")
    facts, run = load_cluster(cluster), load_config(PretrainConfig, config)
    run.parallel.check_world_size(nodes * facts.ranks_per_node)
    job = Job(
        cluster=facts,
        nodes=nodes,
        config=config,
        output=run.output,
        project=Path.cwd(),
        python=sys.executable if facts.scheduler == "local" else "python",
        time=time,
        account=account,
        queue=queue,
        chain=chain,
        environment=environment,
    )
    typer.echo(f"# {cluster}: {facts.notes}", err=True)
    run_or_print(job, render_script(job), really=really)


def run_or_print(job: Job, script: str, *, really: bool) -> None:
    """Write a script into the job's folder and submit it, or print it with the commands."""
    import subprocess

    from training.jobs.render import submit_commands

    commands = submit_commands(job)
    if not really:
        typer.echo(f"# {job.script}\n{script}\n# then\n{commands}", nl=False)
        return
    job.state.mkdir(parents=True, exist_ok=True)
    job.script.write_text(script, encoding="utf-8")
    code = subprocess.run(["bash", "-c", commands], check=False).returncode
    raise typer.Exit(code)
