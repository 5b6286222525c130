"""`python -m downstream`: a pretrained model and few data -> a model and a report."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

# commands import what they need, so that --help does not wait for torch

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Adapts pretrained models to few data.",
)

Name = Annotated[str, typer.Argument(help="A recipe's name (list), or a folder with one.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="section.key=value, in place of what the recipe says.")
]
Data = Annotated[Path | None, typer.Option(help="Folder of the public files, or your file.")]
Out = Annotated[Path | None, typer.Option(help="Run folder; runs/NAME if left out.")]
Start = Annotated[Literal["pretrained", "scratch"] | None, typer.Option(help="First weights.")]
Train = Annotated[
    Literal["head", "last-1", "last-2", "all", "lora"] | None,
    typer.Option(help="What is trained of a pretrained model."),
]
Sizes = Annotated[str | None, typer.Option(help="Training structures, such as 10,30,100.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Repetitions.")]
Quick = Annotated[bool, typer.Option("--quick", help="As short as it can be: does it work?")]
AllFolds = Annotated[bool, typer.Option("--folds", help="All folds, not only the first.")]
Compare = Annotated[
    bool, typer.Option("--compare", help="scratch, frozen, full and lora beside each other.")
]


@app.command(name="list")
def list_recipes() -> None:
    """Every recipe, and whether its public files are there."""
    from downstream.catalog import find_recipe
    from downstream.prepare import file_states
    from downstream.recipes import RECIPES

    for name in RECIPES:
        found = find_recipe(name)
        good = all(state.is_good for state in file_states(found)) and found.own_path is None
        data = "public data" if good else found.stand_in or "needs your file"
        typer.echo(f"{name:<22} {found.recipe.title}\n{'':<22} {data}")


@app.command()
def prepare(name: Name, data: Data = None) -> None:
    """Say which files a recipe needs, how to get them, and whether they are the published ones."""
    from downstream.catalog import find_recipe
    from downstream.prepare import explain, file_states

    found = find_recipe(name)
    typer.echo(explain(found, data))
    if any(state.state == "changed" for state in file_states(found, data)):
        raise typer.Exit(1)


@app.command()
def run(
    name: Name,
    overrides: Overrides = None,
    data: Data = None,
    out: Out = None,
    start: Start = None,
    train: Train = None,
    sizes: Sizes = None,
    seeds: Seeds = None,
    folds: AllFolds = False,
    compare: Compare = False,
    quick: Quick = False,
) -> None:
    """Fine-tune and test; goes on where it was stopped. Without the public files: on a stand-in.

    Exit status 75: it was stopped by SIGTERM or Ctrl-C, and the same command goes on.
    """
    from downstream.modes import COMPARED
    from downstream.run import RunSettings

    own = list(overrides or ())
    own += [f"adapt.start={start}"] if start else []
    own += [f"adapt.train={train}"] if train else []
    own += [f"sizes=[{sizes}]"] if sizes else []
    own += [f"seeds={seeds}"] if seeds else []
    settings = RunSettings(
        output=out or Path("runs") / Path(name).name,
        data=data,
        modes=COMPARED if compare else (),
        all_folds=folds,
        forgetting=not quick,
    )
    _run(name, own, settings, quick)


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="Recipes; section.key=value for all of them.")],
    out: Annotated[Path, typer.Option(help="One folder per recipe, and the table.")] = Path(
        "runs/compare"
    ),
    data: Data = None,
    sizes: Sizes = None,
    seeds: Seeds = None,
    quick: Quick = False,
) -> None:
    """Scratch, frozen, full and LoRA on several recipes, in one table; goes on where it stopped."""
    from downstream.comparison import write_comparison
    from downstream.modes import COMPARED
    from downstream.run import RunSettings

    own = [f"sizes=[{sizes}]"] if sizes else []
    own += [f"seeds={seeds}"] if seeds else []
    own += [text for text in names if "=" in text]
    recipes = [text for text in names if "=" not in text]
    for name in recipes:
        settings = RunSettings(output=out / name, data=data, modes=COMPARED, forgetting=not quick)
        _run(name, own, settings, quick)
    typer.echo(write_comparison([out / name for name in recipes], out))


@app.command()
def report(output: Annotated[Path, typer.Argument(help="Run folder.")]) -> None:
    """Write result.json, report.md and report.html of a run folder again."""
    from downstream.report import markdown, write_report

    typer.echo(markdown(write_report(output)))


def _run(name: str, overrides: list[str], settings: object, quick: bool) -> None:
    from downstream.catalog import find_recipe
    from downstream.report import comparison, markdown_table, write_report
    from downstream.run import RunSettings
    from downstream.run import quick as shortened
    from downstream.run import run as run_recipe
    from training.engine.interruption import RESUME_ME

    found = find_recipe(name, overrides)
    if quick:
        given = {text.partition("=")[0] for text in overrides}
        found = replace(found, recipe=shortened(found.recipe, given))
    assert isinstance(settings, RunSettings)
    result = run_recipe(found, settings)
    if not result.finished:
        typer.echo("stopped; the same command goes on", err=True)
        raise typer.Exit(RESUME_ME)
    if not result.is_first:
        return
    summary = write_report(result.output)
    typer.echo(f"{summary['title']}\n{summary['data']}")
    typer.echo(markdown_table(comparison(summary["table"], summary["primary"])))
    typer.echo(f"{result.output / 'report.html'}")


def main() -> None:
    """Run the command line; errors of atomfm end it with one line."""
    from atomfm_calc.errors import AtomFMError

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    # a line per training is enough; a terminal shows the steps
    logging.getLogger("training.engine.logs").setLevel(logging.WARNING)
    try:
        app()
    except AtomFMError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise SystemExit(1) from error
    except ModuleNotFoundError as error:
        typer.echo(
            f"this command needs the package {error.name!r}; `pip install "
            '"atomfm[training,plots]"` has all, `atomfm doctor` says what is missing',
            err=True,
        )
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
