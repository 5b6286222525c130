"""`atomfm models`: what there is, what it is, whether it is intact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from atomfm_calc.cli.options import (
    DEFAULT_MODEL,
    JsonOption,
    ModelOption,
    StructureFile,
    read_structures,
)
from atomfm_calc.cli.output import print_json

if TYPE_CHECKING:
    from typing import Literal

    from atomfm_calc.registry.advise import Advice
    from atomfm_calc.registry.card import HeadInfo, ModelCard, Validation

models_app = typer.Typer(help="List, describe and verify models.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Shipped name or model folder.")]


@models_app.command("list")
def list_command(json: JsonOption = False) -> None:
    """List the models that ship with the package."""
    from rich.console import Console
    from rich.table import Table

    from atomfm_calc.registry.catalog import list_models

    if json:
        print_json([_summary(name, card) for name, card in list_models().items()])
        return
    table = Table("model", "heads", "default head", "licence", "title")
    for name, card in list_models().items():
        table.add_row(name, str(len(card.heads)), card.default_head, card.licence, card.title)
    Console().print(table)


def _summary(name: str, card: ModelCard) -> dict[str, Any]:
    return {
        "model": name,
        "title": card.title,
        "licence": card.licence,
        "default_head": card.default_head,
        "heads": list(card.heads),
        "properties": list(card.properties),
        "weights_sha256": card.weights_sha256,
    }


@models_app.command()
def show(
    name: NameArgument = DEFAULT_MODEL,
    head: Annotated[str | None, typer.Option("--head", help="All about one head.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page about the model to this file.")
    ] = None,
    parity: Annotated[
        Path | None,
        typer.Option(
            "--parity",
            help="Plots for it (python -m training evaluate RUN --parity); else the model's own.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Describe a model and its heads."""
    from atomfm_calc.config import config_to_dict
    from atomfm_calc.errors import ConfigError
    from atomfm_calc.registry.card import load_card
    from atomfm_calc.registry.catalog import find_model

    card = load_card(find_model(name))
    if parity is not None and html is None:
        raise ConfigError("--parity is for the page that --html FILE writes; add --html FILE")
    if html is not None:
        _write_page(name, html, parity)
        typer.echo(f"wrote {html}", err=json)
    if json:
        print_json(config_to_dict(card if head is None else card.head(head)))
    elif head is not None:
        _show_head(head, card.head(head))
    elif html is None:
        _show_model(card)


def _write_page(name: str, path: Path, parity: Path | None) -> None:
    """Verify the model, measure its precision and write its page."""
    from atomfm_calc.calculators.precision_card import measure_precision
    from atomfm_calc.cli.model_page import model_page
    from atomfm_calc.registry.catalog import load_model, parity_of
    from atomfm_calc.registry.parity import load_parity

    loaded = load_model(name)
    card = loaded.card
    pairs = parity_of(loaded.folder, card) if parity is None else load_parity(parity, card.heads)
    page = model_page(card, measure_precision(loaded, "auto"), pairs)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _show_model(card: ModelCard) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{card.label}[/bold] – {card.title} ({card.licence})")
    console.print(card.description)
    if card.properties:
        _show_properties(card)
    if not card.heads:
        return
    console.print(f"Default head: [bold]{card.default_head}[/bold] – {card.default_head_reason}")
    table = Table("head", "theory", "elements", "charge", "structures", "energy", "forces")
    for key, info in card.heads.items():
        energy, forces = _errors(info.validation)
        charges = ", ".join(f"{charge:+d}" if charge else "0" for charge in info.charges)
        n_structures = str(info.n_structures.get("train", "–"))
        elements = str(len(info.elements)) if info.elements_known else "not stated"
        table.add_row(key, info.theory, elements, charges, n_structures, energy, forces)
    console.print(table)
    console.print("Held-out mean absolute errors: energy in meV/atom, forces in meV/Å.")
    for what, text in card.measured.items():
        console.print(f"Measured, {what}: {text}.")


def _show_properties(card: ModelCard) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("property", "unit", "theory", "elements", "structures", "held-out errors")
    for name, info in card.properties.items():
        unit = ", ".join(info.classes) or info.unit
        errors = "; ".join(
            f"{key.removeprefix(f'{name} ')} {value:.4g}" for key, value in info.test_errors.items()
        )
        n_structures = str(info.n_structures.get("train", "–"))
        table.add_row(name, unit, info.theory, str(len(info.elements)), n_structures, errors)
    Console().print(table)


@models_app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Model; all shipped ones if left out.")] = None,
    json: JsonOption = False,
) -> None:
    """Check the weights against the SHA-256 on the card, and load them."""
    from atomfm_calc.registry.catalog import list_models, load_model

    cards = [load_model(one).card for one in (list_models() if name is None else [name])]
    if json:
        print_json([_summary(card.label, card) | {"intact": True} for card in cards])
        return
    for card in cards:
        typer.echo(f"{card.label}: intact, {len(card.heads)} heads")


@models_app.command()
def advise(
    file: StructureFile,
    model: ModelOption = DEFAULT_MODEL,
    json: JsonOption = False,
) -> None:
    """Rank the heads of a model for each structure of FILE, with reasons from their cards."""
    from atomfm_calc.config import config_to_dict
    from atomfm_calc.convert import sample_from_atoms
    from atomfm_calc.models.gate import GATE_FILE, load_gate
    from atomfm_calc.registry.advise import advise as ask
    from atomfm_calc.registry.advise import weights_for_advice
    from atomfm_calc.registry.catalog import find_model, verify_model
    from atomfm_calc.sample import check_sample

    folder = find_model(model)
    card = verify_model(folder)
    gate = None if card.gate_sha256 is None else load_gate(folder / GATE_FILE)
    answers = []
    for index, atoms in enumerate(read_structures(file)):
        sample = sample_from_atoms(atoms, source=f"{file}#{index}")
        check_sample(sample)
        ranked = ask(card, sample, weights_for_advice(card, gate, sample))
        answers.append((atoms.get_chemical_formula(), ranked))
    if json:
        content = [
            {"formula": formula, "heads": [config_to_dict(advice) for advice in ranked]}
            for formula, ranked in answers
        ]
        print_json({"model": card.label, "structures": content})
        return
    for index, (formula, ranked) in enumerate(answers):
        _show_advice(f"{index}: {formula}", ranked)


def _show_advice(title: str, ranked: list[Advice]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Column, Table

    console = Console()
    name, theory = Column("head", no_wrap=True), Column("theory", no_wrap=True, max_width=24)
    table = Table("", name, theory, "weight", "energy", "forces", title=title, title_justify="left")
    for place, advice in enumerate(ranked, 1):
        numbers = (advice.energy_mae_meV_per_atom, advice.forces_mae_meV_per_angstrom)
        table.add_row(
            str(place) if advice.may_compute else "–",
            advice.head,
            advice.theory,
            "–" if advice.weight is None else f"{advice.weight:.3f}",
            *("–" if number is None else f"{number:.1f}" for number in numbers),
        )
    console.print(table)
    console.print("Held-out mean absolute errors: energy in meV/atom, forces in meV/Å.")
    for advice in ranked:
        console.print(f"[bold]{advice.head}[/bold]")
        for sign, reasons in (("+", advice.reasons_for), ("−", advice.reasons_against)):
            for reason in reasons:
                console.print(Padding(f"{sign} {reason}", (0, 0, 0, 2)), highlight=False)


@models_app.command("import-hydragnn")
def import_hydragnn_command(
    run: Annotated[
        Path, typer.Argument(help="Log folder of a HydraGNN run, or a checkpoint in one.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new model.")],
    head_names: Annotated[
        Path | None, typer.Option("--head-names", help="YAML: branches: {0: name, ...}.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option("--card", help="YAML: what you know better than the checkpoint.")
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option("--references", help="YAML: heads: {name: {H: eV, ...}}, added to energies."),
    ] = None,
    neighbors: Annotated[
        str, typer.Option("--neighbors", help="all, or hydragnn: the nearest 20 of each sender.")
    ] = "all",
    json: JsonOption = False,
) -> None:
    """Turn a checkpoint of HydraGNN's PaiNN into a model folder; runs no code from it."""
    from rich.console import Console

    from atomfm_calc.errors import lookup
    from atomfm_calc.registry.hydragnn import MAX_NEIGHBORS, ImportChoices, import_hydragnn

    lookup(MAX_NEIGHBORS, neighbors, "choice of neighbors", "--neighbors")
    choices = ImportChoices(
        head_names=head_names,
        card=card,
        references=references,
        neighbors=cast("Literal['all', 'hydragnn']", neighbors),
    )
    made = import_hydragnn(run, out, choices)
    if json:
        print_json(_summary(str(out), made) | {"measured": made.measured})
        return
    console = Console()
    console.print(f"[bold]{made.label}[/bold] in {out}: heads {', '.join(made.heads)}")
    console.print(made.description)
    for what, text in made.measured.items():
        console.print(f"Measured, {what}: {text}.")


def _errors(validation: Validation | None) -> tuple[str, str]:
    if validation is None:
        return "–", "–"
    numbers = (
        validation.joint.energy_mae_meV_per_atom,
        validation.joint.forces_mae_meV_per_angstrom,
    )
    energy, forces = ("–" if number is None else f"{number:.1f}" for number in numbers)
    return energy, forces


def _show_head(name: str, info: HeadInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    from atomfm_calc.config import config_to_dict

    table = Table("head", name, show_header=True)
    for key, value in config_to_dict(info).items():
        if value in (None, [], {}):
            continue
        if isinstance(value, dict):
            text = ", ".join(f"{inner} {content}" for inner, content in value.items())
        elif isinstance(value, list):
            text = "; ".join(str(item) for item in value)
        else:
            text = str(value)
        table.add_row(key.replace("_", " "), text)
    Console().print(table)
