"""`atomfm predict --properties`: what property heads say, as a table and in the labeled file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms

    from atomfm_calc.calculators.property_results import PropertyResult
    from atomfm_calc.calculators.setup import CalculatorSettings
    from atomfm_calc.registry.card import ModelCard


def predict_properties(
    model: str, settings: CalculatorSettings, structures: list[Atoms], names: str, max_rows: int
) -> tuple[list[Atoms], dict[str, Any]]:
    """Print one line per structure; return copies that carry the values, and the values for JSON.

    Args:
        model: name or folder.
        settings: of the calculation.
        structures: are not changed.
        names: of properties, separated by commas, or "all".
        max_rows: lines on the screen; 0: nothing is printed.
    """
    from rich.console import Console
    from rich.table import Table

    from atomfm_calc.calculators.batch import predict_many
    from atomfm_calc.calculators.setup import prepare_model
    from atomfm_calc.workflows.result import plain

    loaded = prepare_model(model, settings)
    wanted = names.split(",")
    results = predict_many(structures, loaded, settings, properties=wanted)
    shown = list(loaded.card.properties) if "all" in wanted else wanted
    units = {name: loaded.card.property_info(name).unit for name in shown}
    table = Table("#", "formula", *(f"{name} ({unit})" for name, unit in units.items()))
    for place, (atoms, result) in enumerate(zip(structures[:max_rows], results, strict=False)):
        cells = [_cell(result, name, loaded.card) for name in shown]
        table.add_row(str(place), atoms.get_chemical_formula(), *cells)
    if max_rows:
        Console().print(table)
        if len(structures) > max_rows:
            typer.echo(f"... and {len(structures) - max_rows} more; --out FILE keeps all of them")
    label = loaded.card.label
    rows = [
        {"formula": atoms.get_chemical_formula(), "values": plain(result.values),
         "probabilities": plain(result.probabilities)}
        for atoms, result in zip(structures, results, strict=True)
    ]  # fmt: skip
    labeled = [
        _labeled(atoms, result, shown, label)
        for atoms, result in zip(structures, results, strict=True)
    ]
    return labeled, {"made_by": {"model": label}, "units": units, "structures": rows}


def _cell(result: PropertyResult, name: str, card: ModelCard) -> str:
    value = result.values[name]
    if isinstance(value, str):
        return f"{value} ({result.probabilities[name][value]:.0%})"
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value.min():.4g} to {value.max():.4g}"


def _labeled(atoms: Atoms, result: PropertyResult, names: Sequence[str], label: str) -> Atoms:
    copied: Atoms = atoms.copy()
    copied.info["atomfm_model"] = label
    for name in names:
        value = result.values[name]
        place = copied.info if isinstance(value, str | float) else copied.arrays
        place[f"atomfm_{name}"] = value
        for kind, probability in result.probabilities.get(name, {}).items():
            copied.info[f"atomfm_{name}_{kind}"] = probability
    return copied
