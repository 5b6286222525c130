"""`python -m training`: from data to models, on a laptop or a cluster."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from training.hpo.commands import app as hpo
from training.jobs.commands import submit
from training.scaling.commands import scaling
from training.shards.commands import convert, shards

# commands import what they need, so that --help does not wait for torch

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Makes the models of atomfm_calc.",
)

Run = Annotated[Path, typer.Argument(help="Run folder.")]
Split = Annotated[str, typer.Option(help="validation or test.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="section.key=value, in place of what the file says.")
]


@app.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    }
)
def datasets(context: typer.Context) -> None:
    """List and show the datasets, check a file (see `datasets --help`)."""
    from training.datasets.commands import app as commands
    from training.doctor.commands import check

    # here, because the doctor reads datasets, and datasets know nothing of the doctor
    commands.command("check")(check)
    commands(args=context.args, prog_name="python -m training datasets")


@app.command()
def pretrain(
    config: Annotated[Path, typer.Argument(help="Configuration in YAML.")],
    overrides: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
) -> None:
    """Train a model on the heads of a configuration.

    Exit status 75: it was stopped by SIGTERM or Ctrl-C, and --resume goes on.
    """
    from atomfm_calc.config import load_config
    from training.config import PretrainConfig
    from training.engine.interruption import RESUME_ME
    from training.engine.metrics import table_of_errors
    from training.parallel.process import launcher_place
    from training.pretrain import pretrain as run

    result = run(load_config(PretrainConfig, config, overrides or ()), resume)
    if not result.finished:
        typer.echo(f"stopped after {result.steps} steps; go on with --resume", err=True)
        raise typer.Exit(RESUME_ME)
    if launcher_place().rank == 0:
        typer.echo(f"{result.steps} steps in {result.seconds:.0f} s")
        typer.echo(table_of_errors(result.validation))


@app.command()
def alone(
    run: Run,
    head: Annotated[str, typer.Argument(help="A head of that run, or all.")],
    structures_per_batch: Annotated[int, typer.Option(min=1, help="At most.")] = 8,
    split: Split = "test",
) -> None:
    """Train heads alone from scratch with the samples that the joint run gave each; evaluate."""
    from training.evaluate import evaluate_run
    from training.pretrain import alone_config, load_run_config
    from training.pretrain import pretrain as train

    for name in load_run_config(run).heads if head == "all" else (head,):
        config = alone_config(run, name, structures_per_batch)
        if head == "all" and (config.output / f"evaluation-{split}.json").exists():
            continue
        train(config)
        typer.echo(evaluate_run(config.output, split).table())


@app.command()
def evaluate(
    run: Run,
    split: Split = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Structures per head.")] = None,
    precisions: Annotated[
        bool, typer.Option("--precision-table", help="Measure fp64, fp32 and bf16 instead.")
    ] = False,
    parity: Annotated[
        Path | None,
        typer.Option(help="File for labels and predictions, which the model's page draws."),
    ] = None,
) -> None:
    """Errors per head on held-out structures, beside the element references alone."""
    if precisions:
        from training.precision_table import precision_table

        precision_table(run)
        typer.echo((run / "precision.md").read_text(encoding="utf-8"))
        return
    from training.evaluate import evaluate_run

    typer.echo(evaluate_run(run, split, limit).table())
    if parity is not None:
        from atomfm_calc.registry.parity import save_parity
        from training.parity import parity_of_run

        save_parity(parity_of_run(run, split, limit), parity)
        typer.echo(f"wrote {parity}", err=True)


@app.command()
def export(
    run: Run,
    folder: Annotated[Path, typer.Argument(help="Model folder to write.")],
    card: Annotated[Path, typer.Option(help="The card's words in YAML.")],
    split: Split = "test",
    private: Annotated[
        bool, typer.Option("--private", help="Also heads whose data may not be passed on.")
    ] = False,
    parity: Annotated[
        Path | None,
        typer.Option(help="What `evaluate --parity` wrote, to be shipped for the model's page."),
    ] = None,
) -> None:
    """Write weights and card of a run as a model folder."""
    from atomfm_calc.config import load_config
    from training.export import CardText
    from training.export import export as write

    text = load_config(CardText, card)
    written = write(run, folder, text, split, private=private, parity=parity)
    typer.echo(f"{folder}: {written.label}, heads {', '.join(written.heads)}")


@app.command()
def gate(
    model: Annotated[str, typer.Argument(help="Shipped name or model folder.")],
    data: Annotated[
        Path, typer.Option(help="Folder of the run that made the model, or its configuration.")
    ],
    out: Annotated[Path, typer.Option(help="Model folder to write; may be that of the model.")],
) -> None:
    """Fit the weights of the heads in head="mixture" to errors on held-out structures."""
    from training.gate import make_gate

    table = make_gate(model, data, out)
    typer.echo("rms force error in eV/Å on the test split, geometric mean over structures")
    typer.echo(table)


@app.command()
def uncertainty(
    model: Annotated[str, typer.Argument(help="Shipped name or model folder.")],
    data: Annotated[
        Path, typer.Option(help="Folder of the run that made the model, or its configuration.")
    ],
    out: Annotated[Path, typer.Option(help="Model folder to write; may be that of the model.")],
) -> None:
    """Let heads tell how far their energies may be off: from the data that they were trained on."""
    from training.uncertainty import make_uncertainties

    typer.echo(make_uncertainties(model, data, out))


@app.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    }
)
def collect(context: typer.Context) -> None:
    """Generate and label the reference collection (see `collect --help`)."""
    from training.collection.commands import app as collection

    collection(args=context.args, prog_name="python -m training collect")


app.command()(submit)
app.command()(scaling)
app.command()(convert)
app.add_typer(shards, name="shards")
app.add_typer(hpo, name="hpo")


def main() -> None:
    """Run the command line; errors of atomfm end it with one line."""
    from atomfm_calc.errors import AtomFMError

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        app()
    except AtomFMError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise SystemExit(1) from error
    except ModuleNotFoundError as error:
        typer.echo(
            f"this command needs the package {error.name!r}; "
            '`pip install "atomfm[training,mpi,labels,plots,hpo]"` has all, '
            "`atomfm doctor` says what is missing",
            err=True,
        )
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
