"""The command line `atomfm`: commands import what they need when they run, so `--help` is fast."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from atomfm_calc import __version__
from atomfm_calc.cli.doctor import doctor
from atomfm_calc.cli.models import models_app
from atomfm_calc.cli.predict import predict
from atomfm_calc.cli.run import run_app
from atomfm_calc.cli.screen import screen_app

app = typer.Typer(
    name="atomfm",
    help="Pretrained multi-head graph foundation models for atoms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes longer than all else that `--help` needs
)
app.add_typer(models_app, name="models")
app.command()(predict)
app.add_typer(run_app, name="run")
app.add_typer(screen_app, name="screen")
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"atomfm {__version__}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only results and errors.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Options of all commands."""
    context.obj = {"debug": debug}
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr
    )


def commands() -> dict[str, set[str]]:
    """Every command with its options and arguments, as `atomfm --help` would name them."""

    def walk(command: Any, name: str) -> dict[str, set[str]]:
        found = {name: {parameter.opts[0] for parameter in command.params} - {"--help"}}
        for inner, child in getattr(command, "commands", {}).items():
            found |= walk(child, f"{name} {inner}")
        return found

    return walk(typer.main.get_command(app), "atomfm")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; a user's error is one message on stderr and exit status 1."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # anywhere on the line
    given = [argument for argument in given if argument != "--debug"]
    try:
        app(args=given, prog_name="atomfm")
    except Exception as error:
        if debug or not _is_expected(error):
            raise
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _is_expected(error: Exception) -> bool:
    """Whether the message alone tells the user what to do."""
    from ase.calculators.calculator import CalculatorError, PropertyNotImplementedError

    from atomfm_calc.errors import AtomFMError

    return isinstance(error, (AtomFMError, CalculatorError, PropertyNotImplementedError, OSError))
