"""Commands of the reference collection: plan, run, status, verify."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from training.collection.plan import load_plan
from training.collection.runner import read_records, reasons, run
from training.collection.verify import verify_shard

app = typer.Typer(
    no_args_is_help=True, help="Generate and label the reference collection.", add_completion=False
)

PlanPath = Annotated[Path, typer.Option(help="Plan in YAML.")]
Folder = Annotated[Path, typer.Argument(help="Folder of the collection.")]

DEFAULT_PLAN = Path(__file__).parent / "plans" / "reference.yaml"


@app.command("plan")
def show_plan(plan: PlanPath = DEFAULT_PLAN) -> None:
    """List the sets of a plan."""
    table = Table("set", "head", "generator", "engine", "structures", "shards", "hours")
    loaded = load_plan(plan)
    for entry in loaded.sets:
        table.add_row(
            entry.name,
            entry.head,
            entry.generator,
            entry.engine,
            str(entry.count),
            str(-(-entry.count // entry.shard_size)),
            f"{entry.count * entry.seconds / 3600:.2f}",
        )
    Console().print(table)


@app.command("run")
def run_plan(
    folder: Folder,
    plan: PlanPath = DEFAULT_PLAN,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    niceness: Annotated[int, typer.Option(min=0, help="Lowers the workers' priority.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Set to label, repeatable.")] = None,
) -> None:
    """Label everything that the folder does not have yet; a stopped run goes on where it was."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    run(load_plan(plan), folder, workers, niceness, only or ())


@app.command("status")
def show_status(folder: Folder, plan: PlanPath = DEFAULT_PLAN) -> None:
    """Show how far each set is and why structures failed."""
    records = read_records(folder)
    failed = reasons(records)
    table = Table("set", "head", "shards", "labeled", "s/structure", "failures")
    for entry in load_plan(plan).sets:
        own = [record for record in records.values() if record.set_name == entry.name]
        n_labeled = sum(record.n_labeled for record in own)
        n_tried = n_labeled + sum(len(record.failures) for record in own)
        seconds = sum(record.seconds for record in own)
        words = failed.get(entry.name, {})
        table.add_row(
            entry.name,
            entry.head,
            f"{len(own)}/{-(-entry.count // entry.shard_size)}",
            f"{n_labeled}/{entry.count}",
            f"{seconds / n_tried:.3f}" if n_tried else "-",
            ", ".join(f"{word} {count}" for word, count in words.items()),
        )
    Console(width=150).print(table)


@app.command("verify")
def verify(
    folder: Folder,
    shard: Annotated[str, typer.Option(help="File name of the shard.")],
    plan: PlanPath = DEFAULT_PLAN,
    labels: Annotated[int, typer.Option(min=0, help="Structures to label again.")] = 3,
) -> None:
    """Regenerate a shard: structures bit by bit, labels to 1e-6 eV."""
    report = verify_shard(load_plan(plan), folder, shard, labels)
    Console().print(report)
    if not report.is_same:
        raise typer.Exit(1)
