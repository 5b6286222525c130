"""The command line `atomfm`: commands import what they need when they run, so `--help` is fast."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from atomfm_calc import __version__
from atomfm_calc.cli.check import check
from atomfm_calc.cli.doctor import doctor
from atomfm_calc.cli.exit_status import EXIT_STATUS_HELP, status_of
from atomfm_calc.cli.models import models_app
from atomfm_calc.cli.options import with_options
from atomfm_calc.cli.predict import predict
from atomfm_calc.cli.run import run_app
from atomfm_calc.cli.screen import screen_app

ARGUMENTS = {
    "allow_unseen_elements=True": "--allow-unseen-elements",
    "cell='fixed'": "--cell fixed",
    "device='cpu'": "--device cpu",
    "head='mixture'": "--head mixture",
    "default_dtype": "dtype",
}
"""What messages of the library say, and what it is called here."""

app = typer.Typer(
    name="atomfm",
    help="Pretrained multi-head graph foundation models for atoms.",
    no_args_is_help=True,
    epilog=EXIT_STATUS_HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing rich takes longer than all else that `--help` needs
)
app.add_typer(models_app, name="models")
app.command()(with_options(predict))
app.add_typer(run_app, name="run")
app.add_typer(screen_app, name="screen")
app.command()(with_options(check))
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
    """Run the command line; an error is one message on stderr and an `ExitStatus`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # anywhere on the line
    given = [argument for argument in given if argument != "--debug"]
    try:
        with _sigterm_as_interrupt():
            app(args=given, prog_name="atomfm")
    except Exception as error:
        status = status_of(error)
        if debug or status is None:
            raise
        typer.echo(f"Error: {_with_options_named(str(error))}", err=True)
        sys.exit(status)


def _with_options_named(message: str) -> str:
    """The message with the options of the command line in place of arguments of Python."""
    for argument, option in ARGUMENTS.items():
        message = message.replace(argument, option)
    return message


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """What a scheduler sends before it kills does the same as Ctrl-C: files are closed."""
    if threading.current_thread() is not threading.main_thread():  # others cannot listen
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
