"""`atomfm check`: the contract of ASE calculators, run on ours or any other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import CalculatorOptions, JsonOption, read_structures
from atomfm_calc.cli.output import json_text

if TYPE_CHECKING:
    from ase import Atoms

    from atomfm_calc.conformance.outcome import ReportCard

REPORT = "report-card"
"""Stem of the files of a report card."""


def check(
    address: Annotated[
        str | None,
        typer.Option(
            "--calculator", help="module:factory or file.py:factory; left out: our own, as follows."
        ),
    ] = None,
    structures: Annotated[
        Path | None, typer.Option(help="File with what it is meant for; else crystals, molecules.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float64, float32, self-consistent; else it is probed.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Checks, separated by commas.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the card as text, JSON and HTML.")
    ] = None,
    json: JsonOption = False,
    *,
    calculator: CalculatorOptions,
) -> None:
    """Check any ASE calculator against the contract; exit status 1 if it breaks a part of it."""
    from atomfm_calc.conformance.examine import find_factory
    from atomfm_calc.conformance.outcome import card_as_text
    from atomfm_calc.workflows.result import result_to_dict

    if address is None:
        name, make = _our_own(calculator)
        precision = precision or calculator.dtype
    else:
        name, make = address, find_factory(address)
    checks = None if only is None else [part.strip() for part in only.split(",")]
    given = None if structures is None else _named(read_structures(structures))
    card = _examine_with_progress(name, make, given, precision, checks)
    content = json_text(result_to_dict(card))
    if out is not None:
        from atomfm_calc.cli.check_page import card_as_html

        out.mkdir(parents=True, exist_ok=True)
        pages = {"txt": card_as_text(card), "json": f"{content}\n", "html": card_as_html(card)}
        for suffix, text in pages.items():
            (out / f"{REPORT}.{suffix}").write_text(text, encoding="utf-8")
    typer.echo(content if json else card_as_text(card).rstrip())
    if card.failed:
        raise typer.Exit(ExitStatus.FAILED)


def _our_own(options: CalculatorOptions) -> tuple[str, Callable[[], Any]]:
    """Name and maker of `FoundationCalc`; the weights are read once."""
    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.calculators.setup import prepare_model, resolve_head

    settings = options.settings()
    loaded = prepare_model(options.model, settings)
    name = f"{loaded.card.label}, head {resolve_head(loaded.card, settings.head)}"
    return name, partial(FoundationCalc.from_settings, loaded, settings)


def _named(structures: list[Atoms]) -> dict[str, Atoms]:
    return {
        f"{place} {atoms.get_chemical_formula()}": atoms for place, atoms in enumerate(structures)
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, our calculators, of which there are dozens, do not announce themselves."""
    logger = logging.getLogger("atomfm_calc")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _examine_with_progress(
    name: str,
    make: Callable[[], Any],
    given: Mapping[str, Atoms] | None,
    precision: str | None,
    checks: list[str] | None,
) -> ReportCard:
    from tqdm import tqdm

    from atomfm_calc.conformance import CHECKS
    from atomfm_calc.conformance.examine import examine

    names = list(CHECKS) if checks is None else checks
    with tqdm(total=len(names), desc="checks", disable=None) as progress, _quiet():

        def show(done: str) -> None:
            progress.set_postfix_str(done)
            progress.update()

        return examine(name, make, given, precision=precision, checks=names, on_check=show)
