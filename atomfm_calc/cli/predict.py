"""`atomfm predict`: energies, forces and stress of all structures of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atomfm_calc.cli.options import (
    CalculatorOptions,
    DryRunOption,
    JsonOption,
    StructureFile,
    note_unseen_periodicity,
    read_structures,
)
from atomfm_calc.cli.output import print_json
from atomfm_calc.cli.predict_plan import plan_prediction
from atomfm_calc.cli.properties import predict_properties

if TYPE_CHECKING:
    from ase import Atoms

    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.calculators.comparison import HeadComparison
    from atomfm_calc.calculators.evaluator import StructureResult
    from atomfm_calc.calculators.uncertainty import EnergyUncertainty

MAX_ROWS = 20
"""Structures shown on the screen; --json and the file named by --out get all."""
UNCERTAINTY = "uncertainty_per_atom"
"""One standard deviation, as in the tables of a screening; of heads that know it."""
UNITS = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å³", UNCERTAINTY: "eV/atom"}
OutOption = Annotated[
    Path | None, typer.Option("--out", help="File for the results (.extxyz, .traj ...).")
]
PropertiesOption = Annotated[
    str | None,
    typer.Option(
        "--properties", help="Of a fine-tuned model, separated by commas, or all; no energies."
    ),
]


@dataclass(frozen=True, kw_only=True)
class PredictOptions(CalculatorOptions):
    """Which model computes, and how; also all heads."""

    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            "--heads",
            help="Level of theory; all: a table of all heads; mixture: all, by composition.",
        ),
    ] = None
    """None: the default of the card."""


def predict(
    file: StructureFile,
    properties: PropertiesOption = None,
    out: OutOption = None,
    json: JsonOption = False,
    dry_run: DryRunOption = False,
    *,
    calculator: PredictOptions,
) -> None:
    """Energy, forces and stress of all structures of FILE; --head all compares the heads."""
    from atomfm_calc.errors import DataError

    structures = read_structures(file)
    if out is not None and out.resolve() == file.resolve():
        raise DataError(f"--out {out} is the input file; name another one")
    if dry_run:
        plan_prediction(calculator, structures, as_json=json)
        return
    labeled, content = _predict(calculator, structures, properties, as_json=json)
    if out is not None:
        import ase.io

        out.parent.mkdir(parents=True, exist_ok=True)
        ase.io.write(out, labeled)
        typer.echo(f"wrote {len(labeled)} structures to {out}", err=json)
    if json:
        print_json(content)


def _predict(
    calculator: PredictOptions, structures: list[Atoms], properties: str | None, *, as_json: bool
) -> tuple[list[Atoms], dict[str, Any]]:
    """Structures with their results, and the same for JSON; printed unless `as_json`."""
    max_rows = 0 if as_json else MAX_ROWS
    if properties is not None:
        return predict_properties(
            calculator.model, calculator.settings(), structures, properties, max_rows
        )
    all_heads = calculator.head == "all"
    calc = (replace(calculator, head=None) if all_heads else calculator).load()
    if not all_heads:
        note_unseen_periodicity(calc, structures)
    compute = _predict_all_heads if all_heads else _predict_one_head
    labeled, rows = compute(calc, structures, max_rows)
    made_by = calc.fingerprint() | ({"head": "all"} if all_heads else {})
    return labeled, {"made_by": made_by, "units": UNITS, "structures": rows}


def _predict_one_head(
    calc: FoundationCalc, structures: list[Atoms], max_rows: int
) -> tuple[list[Atoms], list[dict[str, Any]]]:
    from tqdm import tqdm

    want = ("energy", "forces", "stress")
    results = tqdm(
        calc.predict_many(structures, want=want),
        total=len(structures),
        desc="structures",
        disable=None,
    )
    labeled, rows = [], []
    shown: list[tuple[Atoms, StructureResult]] = []
    for atoms, result in zip(structures, results, strict=True):
        labeled.append(_with_results(calc, atoms, result))
        rows.append(_row(atoms, result))
        if len(shown) < max_rows:
            shown.append((atoms, result))
    if max_rows:
        _print_results(shown)
        _tell_of_more(len(structures))
    return labeled, rows


def _print_results(shown: Sequence[tuple[Atoms, StructureResult]]) -> None:
    """A line for each structure; with uncertainties if the head knows them."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from atomfm_calc.units import GPA

    knows = any(result.uncertainty is not None for _, result in shown)
    table = Table("#", "formula", "energy (eV)", "per atom (eV)")
    for heading in (*(["± per atom (eV)"] if knows else []), "max force (eV/Å)", "p (GPa)"):
        table.add_column(heading)
    for index, (atoms, result) in enumerate(shown):
        cells = [str(index), atoms.get_chemical_formula(), f"{result.energy:.4f}"]
        cells.append(f"{result.energy / len(atoms):.4f}")
        if knows:
            cells.append(_rounded(result.uncertainty))
        forces, stress = result.forces, result.stress
        cells += [
            "–" if forces is None else f"{np.linalg.norm(forces, axis=1).max():.3f}",
            "–" if stress is None else f"{-np.trace(stress) / 3 / GPA:.2f}",
        ]
        table.add_row(*cells)
    if any(result.uncertainty and not result.uncertainty.is_usual for _, result in shown):
        table.caption = "!: less sure than of 95 % of the structures held out in training"
    Console().print(table)


def _rounded(uncertainty: EnergyUncertainty | None) -> str:
    """eV/atom, with a mark if it is more than usual."""
    if uncertainty is None:
        return "–"
    return f"{uncertainty.per_atom:.2g}" + ("" if uncertainty.is_usual else " !")


def _row(atoms: Atoms, result: StructureResult) -> dict[str, Any]:
    """A structure in JSON; stress is the matrix."""
    row: dict[str, Any] = {"formula": atoms.get_chemical_formula(), "energy": result.energy}
    for name, value in (("forces", result.forces), ("stress", result.stress)):
        row[name] = None if value is None else value.tolist()
    known = result.uncertainty
    row[UNCERTAINTY] = None if known is None else known.per_atom
    return row


def _with_results(calc: FoundationCalc, atoms: Atoms, result: StructureResult) -> Atoms:
    from ase.calculators.singlepoint import SinglePointCalculator

    from atomfm_calc.convert import voigt_stress

    labeled: Atoms = atoms.copy()
    values = {"energy": result.energy, "forces": result.forces}
    if result.atom_energies is not None:
        values["energies"] = result.atom_energies
    if result.stress is not None:
        values["stress"] = voigt_stress(result.stress)
    labeled.calc = SinglePointCalculator(labeled, **values)
    labeled.info["atomfm_model"] = calc.card.label
    labeled.info["atomfm_head"] = calc.head
    if result.uncertainty is not None:
        labeled.info[UNCERTAINTY] = result.uncertainty.per_atom
    return labeled


def _predict_all_heads(
    calc: FoundationCalc, structures: list[Atoms], max_rows: int
) -> tuple[list[Atoms], list[dict[str, Any]]]:
    from tqdm import tqdm

    from atomfm_calc.errors import StructureError

    labeled: list[Atoms] = []
    rows: list[dict[str, Any]] = []
    shown: list[HeadComparison] = []
    comparisons = tqdm(
        calc.evaluate_heads_of_many(structures, forces=True),
        total=len(structures),
        desc="structures",
        disable=None,
    )
    for atoms, comparison in zip(structures, comparisons, strict=True):
        if len(shown) < max(max_rows, 1):
            shown.append(comparison)
        rows.append(_comparison_row(atoms, comparison))
        labeled.append(_with_heads(calc, atoms, comparison))
    n_refused = sum(not row["heads"] for row in rows)
    if n_refused == len(structures):
        reasons = "; ".join(dict.fromkeys(shown[0].skipped.values()))
        raise StructureError(f"no head can compute any structure; the first: {reasons}")
    if max_rows:
        for index, (atoms, comparison) in enumerate(zip(structures, shown, strict=False)):
            print_comparison(calc, atoms, comparison, title=str(index))
        _tell_of_more(len(structures))
        if n_refused:
            typer.echo(f"{n_refused} of {len(structures)} structures were refused by every head")
    return labeled, rows


def _with_heads(calc: FoundationCalc, atoms: Atoms, comparison: HeadComparison) -> Atoms:
    copied: Atoms = atoms.copy()
    copied.info["atomfm_model"] = calc.card.label
    for head in comparison.heads:
        copied.info[f"energy_{head}"] = comparison.energies[head]
        if head in comparison.uncertainties:
            copied.info[f"{UNCERTAINTY}_{head}"] = comparison.uncertainties[head].per_atom
        if comparison.forces is not None:
            copied.arrays[f"forces_{head}"] = comparison.forces[head]
    return copied


def _comparison_row(atoms: Atoms, comparison: HeadComparison) -> dict[str, Any]:
    """A structure in JSON, with what each head says and why others say nothing."""
    weights, forces = comparison.weights or {}, comparison.forces or {}
    uncertainties = {name: one.per_atom for name, one in comparison.uncertainties.items()}
    heads = {
        name: {
            "energy": comparison.energies[name],
            "energy_above_references": comparison.energies_above_references[name],
            "weight": weights.get(name),
            "forces": forces[name].tolist() if name in forces else None,
            UNCERTAINTY: uncertainties.get(name),
        }
        for name in comparison.heads
    }
    skipped = dict(comparison.skipped)
    return {"formula": atoms.get_chemical_formula(), "heads": heads, "skipped": skipped}


def print_comparison(
    calc: FoundationCalc, atoms: Atoms, comparison: HeadComparison, title: str
) -> None:
    """Print one line per head: what it says, and how far from the mixture or mean, or why not."""
    import numpy as np
    from rich.console import Console
    from rich.table import Column, Table

    from atomfm_calc.calculators.setup import MIXTURE

    center, forces = comparison.center_name, comparison.forces or {}
    weighed = comparison.weights is not None
    columns = [Column("head", no_wrap=True), Column("theory", no_wrap=True, max_width=10)]
    columns += [Column("weight", min_width=5)] if weighed else []
    columns += [Column("energy (eV)", min_width=10), Column("above refs. (eV/atom)", min_width=9)]
    columns += [
        Column("max force (eV/Å)", max_width=6),
        Column(f"force off the {center} (eV/Å)", max_width=7),
    ]
    table = Table(
        *columns,
        title=f"{title}: {atoms.get_chemical_formula()}",
    )
    for head in comparison.heads:
        row = [] if comparison.weights is None else [f"{comparison.weights[head]:.3f}"]
        row.append(f"{comparison.energies[head]:.4f}")
        row.append(f"{comparison.energies_above_references[head] / len(atoms):.4f}")
        if forces:
            row.append(f"{np.linalg.norm(forces[head], axis=1).max():.3f}")
            row.append(f"{comparison.force_deviations[head]:.3f}")
        table.add_row(head, calc.heads[head].theory, *row)
    if weighed:
        row = ["1.000", "–", f"{comparison.center_energy / len(atoms):.4f}"]
        if comparison.center_forces is not None:
            row.append(f"{np.linalg.norm(comparison.center_forces, axis=1).max():.3f}")
        table.add_row(MIXTURE, "all heads", *row)
    console = Console()
    console.print(table)
    for reason in dict.fromkeys(comparison.skipped.values()):
        console.print(f"left out: {reason.split(';')[0]}", highlight=False, markup=False)


def _tell_of_more(n_structures: int) -> None:
    if n_structures > MAX_ROWS:
        typer.echo(f"... and {n_structures - MAX_ROWS} more; --out FILE keeps all of them")
