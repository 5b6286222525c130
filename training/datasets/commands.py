"""Commands of the datasets: list, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from atomfm_calc.errors import DataError, lookup
from training.datasets import DATASETS
from training.datasets.adapter import CollectionShards, Dataset, DatasetInfo, Units
from training.datasets.own import OwnFile

app = typer.Typer(
    invoke_without_command=True,
    add_completion=False,
    help="What there is to learn from; without a command: the list.",
)

Root = Annotated[Path, typer.Option(help="Folder of published files.")]
Collection = Annotated[Path, typer.Option(help="Folder of the collection.")]

DEFAULT_ROOT = Path("../shared/data")
DEFAULT_COLLECTION = Path("work/collection")


@app.callback()
def default(
    context: typer.Context, root: Root = DEFAULT_ROOT, collection: Collection = DEFAULT_COLLECTION
) -> None:
    """List the datasets if no command is given."""
    if context.invoked_subcommand is None:
        list_datasets(root, collection)


@app.command("list")
def list_datasets(root: Root = DEFAULT_ROOT, collection: Collection = DEFAULT_COLLECTION) -> None:
    """List the datasets: theory, units, licence, DOI, size, and whether their files are here."""
    table = Table(show_lines=True)
    table.add_column("name and head", no_wrap=True)
    for heading in ("theory, units of the files", "licence, DOI", "size, files here"):
        table.add_column(heading, overflow="fold")
    for name, dataset in DATASETS.items():
        if isinstance(dataset, OwnFile):
            continue
        place = collection if isinstance(dataset, CollectionShards) else root
        info = dataset.info
        table.add_row(
            name,
            f"{info.theory}\n{_units(info.units)}",
            f"{info.licence}; {_shipping(info)}\nDOI {info.doi}",
            f"{info.size}\n{_files_here(dataset, place)}",
        )
    console = Console()
    console.print(table)
    console.print("All about one, and how to get it: python -m training datasets show NAME")


@app.command("show")
def show_dataset(name: Annotated[str, typer.Argument(help="Name in the list.")]) -> None:
    """Show all that is known about a dataset, and how to get its files."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    info = lookup(DATASETS, name, "dataset").info
    for fact, text in dataset_facts(info):
        table.add_row(fact, text)
    console = Console()
    console.print(table)
    # outside of the table, so that an address is not broken into lines
    console.print(f"how to get it: {info.obtain}", soft_wrap=True, markup=False)


def dataset_facts(info: DatasetInfo) -> list[tuple[str, str]]:
    """What is known about a dataset, each fact with its name; without how to get it."""
    charges = "as the files say" if info.uses_charge else "not in the files; taken as 0 and 1"
    return [
        ("name and head", info.name),
        ("title", info.title),
        ("theory", info.theory),
        ("code", info.code),
        ("data", info.data),
        ("source", info.source),
        ("DOI", info.doi),
        ("licence", info.licence),
        ("may be shipped", _shipping(info)),
        ("size", info.size),
        ("units of the files", _units(info.units)),
        ("energy zero", info.energy_zero),
        ("charge, multiplicity", charges),
        ("held out by", info.split),
        ("good for", "; ".join(info.good_for) or "not stated"),
        ("not for", "; ".join(info.not_for) or "not stated"),
    ]


def _units(units: Units) -> str:
    words = [units.energy, units.length, units.forces]
    if units.stress != "none":
        words.append(units.stress)
    return ", ".join(words)


def _files_here(dataset: Dataset, place: Path) -> str:
    try:
        return f"{len(dataset.files(place))} files here"
    except DataError:
        return "no files here"


def _shipping(info: DatasetInfo) -> str:
    return "weights may be shipped" if info.redistributable else "weights may not be shipped"
