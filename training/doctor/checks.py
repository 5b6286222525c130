"""All checks by name, and the report over a file."""

from __future__ import annotations

from collections.abc import Callable

from atomfm_calc.registry.catalog import LoadedModel
from training.doctor import consistency, energies, labels, overview, structures
from training.doctor.comparison import compare_with_model
from training.doctor.examined import Examined, examine_file
from training.doctor.report import Finding, Report
from training.own_data import OwnData

CHECKS: dict[str, Callable[[Examined], list[Finding]]] = {
    "rows": labels.check_rows,
    "structures": labels.check_structures,
    "missing labels": labels.check_missing,
    "finite": labels.check_finite,
    "positions": structures.check_lengths,
    "distances": structures.check_contacts,
    "cells": structures.check_cells,
    "charges": structures.check_charges,
    "energy scale": energies.check_energy_scale,
    "forces scale": energies.check_forces_scale,
    "net force": energies.check_net_force,
    "stress": consistency.check_stress,
    "energies and forces": consistency.check_work,
    "outliers": energies.check_outliers,
    "duplicates": structures.check_duplicates,
    "elements": overview.check_elements,
    "split": overview.check_split,
    "amount": overview.check_amount,
}
"""In the order of the report."""


def examine(own: OwnData, model: LoadedModel | None = None, limit: int | None = None) -> Report:
    """Look at a user's file.

    Args:
        own: the file, its keys and units.
        model: compared with if given.
        limit: read the first rows only; None: all.

    Raises:
        DataError, UnknownNameError: no such file, or one of no known format.
    """
    file = examine_file(own, limit)
    findings: list[Finding] = []
    for check in CHECKS.values():
        findings += check(file)
    if model is not None and file.samples:
        findings += compare_with_model(file, model)
    return Report(
        file=str(own.path),
        n_rows=file.n_rows,
        findings=tuple(findings),
        facts=overview.facts_of(file),
    )
