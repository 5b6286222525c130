"""`atomfm predict --dry-run`: which structures would be refused and how long the others take."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import CalculatorOptions
from atomfm_calc.cli.output import print_json, print_table

if TYPE_CHECKING:
    from ase import Atoms

    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.registry.card import ModelCard

N_TIMED = 8
"""Structures that are computed to know the time."""


def plan_prediction(
    calculator: CalculatorOptions, structures: list[Atoms], *, as_json: bool
) -> None:
    """Print what `atomfm predict` would do.

    Args:
        calculator: its head may be "all".
        structures: of the file.
        as_json: print JSON in place of a table.

    Raises:
        typer.Exit: some structure would be refused.
    """
    calc = (replace(calculator, head=None) if calculator.head == "all" else calculator).load()
    heads = [calc.head] if calculator.head in (None, calc.head) else list(calc.card.heads)
    if heads == ["mixture"]:
        heads = list(calc.card.heads)
    refused = _refused(calc.card, heads, structures, calculator)
    allowed = [atoms for index, atoms in enumerate(structures) if index not in refused]
    content = {
        "dry_run": True,
        "heads": heads,
        "n_structures": len(structures),
        "n_atoms": sum(len(atoms) for atoms in structures),
        "refused": [{"structure": index, "why": why} for index, why in refused.items()],
        "seconds_about": _seconds(calc, allowed) if allowed else 0.0,
        "made_by": calc.fingerprint(),
    }
    if as_json:
        print_json(content)
    else:
        print_table(("dry run", "predict"), content)
    if refused:
        raise typer.Exit(ExitStatus.MISUSED)


def _refused(
    card: ModelCard, heads: list[str], structures: list[Atoms], calculator: CalculatorOptions
) -> dict[int, str]:
    """Structures that no head may compute, and why not the first of the heads."""
    found = {}
    for index, atoms in enumerate(structures):
        reasons = [_objection(card, head, atoms, calculator) for head in heads]
        if all(reasons):
            found[index] = str(reasons[0])
    return found


def _objection(
    card: ModelCard, head: str, atoms: Atoms, calculator: CalculatorOptions
) -> str | None:
    from atomfm_calc.calculators.checks import charge_state, check_elements, check_structure
    from atomfm_calc.errors import StructureError

    try:
        check_structure(atoms)
        if not calculator.allow_unseen_elements:
            check_elements(atoms, card, head)
        charge_state(atoms, calculator.charge, calculator.multiplicity, card, head)
    except StructureError as error:
        return str(error)
    return None


def _seconds(calc: FoundationCalc, structures: list[Atoms]) -> float:
    """Of all, by atoms, from the time of some, after a first calculation, which compiles."""
    timed = structures[:: max(1, len(structures) // N_TIMED)][:N_TIMED]
    list(calc.predict_many(timed[:1]))
    began = time.perf_counter()
    list(calc.predict_many(timed))
    share = sum(map(len, timed)) / sum(map(len, structures))
    return (time.perf_counter() - began) / share
