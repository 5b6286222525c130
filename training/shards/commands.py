"""`python -m training convert` and `python -m training shards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.own_data import OwnData
    from training.shards.convert import Team

shards = typer.Typer(no_args_is_help=True, help="Look at shards and check them.")

Folder = Annotated[Path, typer.Argument(help="Folder of a head, with index.json.")]


def convert(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder of all heads' shards.")],
    root: Annotated[
        Path | None, typer.Option(help="Folder, or file, of the data; else the path in --own.")
    ] = None,
    own: Annotated[
        Path | None, typer.Option(help="YAML with keys and units of your own file (extxyz).")
    ] = None,
    head: Annotated[str, typer.Option(help="Head; else the dataset's name.")] = "",
    cutoff: Annotated[float, typer.Option(help="Å; edges up to here.")] = 5.0,
    edges: Annotated[bool, typer.Option(help="Store the edges.")] = True,
    structures_per_shard: Annotated[int, typer.Option(min=1, help="Records.")] = 10_000,
    split_seed: Annotated[int, typer.Option(help="Of the division.")] = 0,
    validation_fraction: Annotated[float, typer.Option(help="To choose between runs.")] = 0.05,
    test_fraction: Annotated[float, typer.Option(help="For the card.")] = 0.05,
    never_held_out: Annotated[
        list[str] | None, typer.Option(help="Composition that is always trained on.")
    ] = None,
    max_force: Annotated[float, typer.Option(help="eV/Å; larger ones are left out.")] = 50.0,
    hash_files: Annotated[bool, typer.Option(help="Record SHA-256 of the data.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes of each rank.")] = 1,
) -> None:
    """Write a dataset as shards; started again, it goes on where it was stopped.

    Under mpiexec, srun or their kind, the ranks divide the shards among them.
    """
    from atomfm_calc.config import parse_config
    from training.shards.convert import Order
    from training.shards.convert import convert as write
    from training.shards.layout import ConvertSettings

    chosen = {
        "cutoff": cutoff,
        "edges": edges,
        "structures_per_shard": structures_per_shard,
        "split_seed": split_seed,
        "validation_fraction": validation_fraction,
        "test_fraction": test_fraction,
        "never_held_out": never_held_out or (),
        "max_force": max_force,
    }
    described = _described(own, root)
    order = Order(
        dataset=dataset,
        root=_root(root, described),
        own=described,
        out=out,
        head=head,
        settings=parse_config(ConvertSettings, chosen, origin="convert"),
        hash_files=hash_files,
        workers=workers,
    )
    team = _team()
    index = write(order, team)
    if team is None or team.rank == 0:
        typer.echo(f"{order.folder}: {index.size} structures in {len(index.shards)} shards")


@shards.command("show")
def show(folder: Folder) -> None:
    """Show what a head's shards hold."""
    from rich.console import Console
    from rich.table import Table

    from training.shards.layout import INDEX_FILE, ShardIndex, read_json

    index = read_json(ShardIndex, folder / INDEX_FILE)
    counts = index.summary["n_structures"]
    refused = (f"{number} {reason}" for reason, number in index.refused.items())
    table = Table(show_header=False, box=None, pad_edge=False)
    for fact, text in (
        ("head, dataset", f"{index.head}, {index.dataset}"),
        ("data files", str(len(index.files))),
        ("shards", str(len(index.shards))),
        ("structures", ", ".join(f"{number} {split}" for split, number in counts.items())),
        ("atoms", str(sum(shard.n_atoms for shard in index.shards))),
        (
            "edges",
            f"{sum(shard.n_edges for shard in index.shards)}, {_edges(index.settings.edges)}",
        ),
        ("cutoff", f"{index.settings.cutoff} Å"),
        ("units", index.units),
        ("refused", ", ".join(refused) or "none"),
    ):
        table.add_row(fact, text)
    Console().print(table)


@shards.command("verify")
def verify(folder: Folder) -> None:
    """Compare every byte of a head's shards with the checksums of its index."""
    from training.shards.layout import INDEX_FILE, ShardIndex, read_json
    from training.shards.reader import verify_shards

    index = read_json(ShardIndex, folder / INDEX_FILE)
    verify_shards(folder, index, with_checksums=True)
    typer.echo(f"{folder}: {len(index.shards)} shards are as they were written")


def _described(own: Path | None, root: Path | None) -> OwnData | None:
    """What the numbers of a user's file mean; --root comes before the path in it."""
    from atomfm_calc.config import load_config
    from training.own_data import OwnData

    if own is None:
        return None
    place = [] if root is None else [f"path={json.dumps(str(root))}"]  # quoted, as YAML allows
    return load_config(OwnData, own, place)


def _root(root: Path | None, own: OwnData | None) -> Path:
    from atomfm_calc.errors import ConfigError

    if own is not None:
        return own.path
    if root is None:
        raise ConfigError("convert does not know where the data is; add --root FOLDER, or FILE")
    return root


def _edges(stored: bool) -> str:
    return "stored" if stored else "found when read"


def _team() -> Team | None:
    """The ranks that a launcher started together; None: there is no other."""
    from atomfm_calc.errors import ConfigError
    from training.parallel.process import launcher_place

    place = launcher_place()
    if place.world_size == 1:
        return None
    from training.shards.ranks import MpiTeam

    team = MpiTeam()
    if team.size != place.world_size:
        raise ConfigError(
            f"{place.launcher} started {place.world_size} processes, of which MPI joins "
            f"{team.size}; start convert with mpiexec, or srun --mpi=pmi2, of the MPI that mpi4py "
            "was built with, or as one process with --workers"
        )
    return team
