"""`atomfm screen`: any number of structures through a model, resumable, into tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from atomfm_calc.cli.exit_status import ExitStatus
from atomfm_calc.cli.options import (
    DEFAULT_MODEL,
    DeviceOption,
    DryRunOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    UnseenOption,
    with_options,
)
from atomfm_calc.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomfm_calc.screening.campaign import Campaign
    from atomfm_calc.screening.plan import Measured, Projection
    from atomfm_calc.screening.team import Team

CONFIG_ENDINGS = (".yaml", ".yml")
DRY_RUN_S = 2.0
"""Seconds that a dry run measures for."""


class RunByDefault(TyperGroup):
    """`atomfm screen INPUT ...` is short for `atomfm screen run INPUT ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the command where it was left out."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


screen_app = typer.Typer(
    cls=RunByDefault,
    help="Screen candidates; `atomfm screen INPUT --out DIR` is short for `run`.",
    no_args_is_help=True,
)

WhatArgument = Annotated[
    list[str],
    typer.Argument(
        help="A campaign (.yaml) and section.key=value changes, or files and folders of structures."
    ),
]
FolderOption = Annotated[
    Path, typer.Option("--out", help="Folder of the results; a run that was stopped goes on there.")
]
RankOption = Annotated[int, typer.Option("--rank", help="Number of this process, from 0.")]
RanksOption = Annotated[int, typer.Option("--ranks", help="Processes that work together.")]
MpiOption = Annotated[
    bool, typer.Option("--mpi", help="Ask MPI for rank and ranks (mpiexec, srun).")
]
HeadsOption = Annotated[
    str | None, typer.Option("--head", help="A head, several with commas, or all.")
]


@dataclass(frozen=True, kw_only=True)
class ScreenOptions:
    """What computes candidates that come as files, without a campaign."""

    model: ModelOption = DEFAULT_MODEL
    """Shipped name or model folder."""
    head: HeadsOption = None
    """A head, several with commas, or all."""
    forces: Annotated[bool, typer.Option("--forces", help="Forces of the first head.")] = False
    """Forces of the first head."""
    device: DeviceOption = "auto"
    """auto, cpu, cuda, cuda:N."""
    dtype: DtypeOption = "float32"
    """float32 or float64."""
    allow_unseen_elements: UnseenOption = False
    """Compute elements that the head was not trained on."""


@screen_app.command("run")
@with_options
def run_command(
    what: WhatArgument,
    out: FolderOption,
    rank: RankOption = 0,
    ranks: RanksOption = 1,
    mpi: MpiOption = False,
    json: JsonOption = False,
    dry_run: DryRunOption = False,
    *,
    options: ScreenOptions,
) -> None:
    """Evaluate all candidates; start the same command again to go on after a stop."""
    _require_pyarrow()
    from atomfm_calc.screening.drive import run_campaign
    from atomfm_calc.screening.progress import Progress

    campaign = _campaign(what, options)
    if dry_run:
        _tell_of_dry_run(campaign, out, ranks, as_json=json)
        return
    team = _team(rank, ranks, mpi)
    progress = Progress(team)
    try:
        run_campaign(campaign, out, team, progress.report)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on in {out}", err=True)
        raise typer.Exit(ExitStatus.RESUME) from None
    if team.rank == 0 and json:
        print_json({"folder": str(out), "stages": _counts(campaign, out)})
    elif team.rank == 0:
        typer.echo(progress.summary(out))


def _counts(campaign: Campaign, out: Path) -> dict[str, dict[str, int]]:
    """Stage -> structures with results and structures in quarantine."""
    from atomfm_calc.screening.manifest import Journals, StageFolder
    from atomfm_calc.screening.sinks import SINKS

    found = {}
    for stage in campaign.stages:
        journals = Journals(StageFolder(out / stage.name, SINKS[campaign.sink]().suffix))
        journals.refresh()
        records = journals.finished()
        found[stage.name] = {
            "n_rows": sum(record.n_rows for record in records),
            "n_quarantined": sum(record.n_quarantined for record in records),
        }
    return found


def _tell_of_dry_run(campaign: Campaign, out: Path, ranks: int, *, as_json: bool) -> None:
    """Open model and candidates, screen some of the first stage and say what all of them take."""
    from atomfm_calc.config import config_to_dict
    from atomfm_calc.screening.plan import measure, project
    from atomfm_calc.screening.sources import open_source

    n_candidates = open_source(campaign.candidates).n_candidates
    measured = measure(campaign, DRY_RUN_S)
    (projection,) = project(measured, n_candidates, [ranks])
    content = {
        "dry_run": True,
        "folder": str(out),
        "n_candidates": n_candidates,
        "ranks": ranks,
        "seconds_of_first_stage_about": projection.seconds,
        "measured": asdict(measured),
        "campaign": config_to_dict(campaign),
    }
    if as_json:
        print_json(content)
    else:
        print_table(("dry run", "screen"), content)


def _require_pyarrow() -> None:
    """Tables are read and written with it, whatever the format of the rows."""
    from atomfm_calc.packages import require

    require("pyarrow")


def _team(rank: int, ranks: int, mpi: bool) -> Team:
    from atomfm_calc.screening.team import Team, mpi_team

    return mpi_team() if mpi else Team(rank=rank, ranks=ranks)


def _campaign(what: list[str], given: ScreenOptions) -> Campaign:
    """The campaign of a file, or one stage on the structures of files.

    Raises:
        ConfigError: options beside a campaign file, which has keys for them.
    """
    from atomfm_calc.config import load_config, parse_config
    from atomfm_calc.errors import ConfigError
    from atomfm_calc.screening.campaign import Campaign

    options = asdict(given)
    first, *rest = what
    if first.endswith(CONFIG_ENDINGS):
        usual = asdict(ScreenOptions())
        changed = [name for name, value in options.items() if value != usual[name]]
        if changed:
            raise ConfigError(
                f"{first} is a campaign; say {', '.join(changed)} in it, or as key=value behind it"
            )
        return load_config(Campaign, first, rest)
    head, forces = options.pop("head"), options.pop("forces")
    stage = {"heads": [] if head is None else head.split(","), "forces": forces}
    content = {"candidates": {"kind": "files", "paths": what}, "stages": [stage], **options}
    return parse_config(Campaign, content, "the command line")


@screen_app.command("plan")
@with_options
def plan_command(
    what: WhatArgument,
    candidates: Annotated[
        float, typer.Option("--candidates", help="Structures of the large screening.")
    ] = 1.1e9,
    ranks: Annotated[
        str, typer.Option("--ranks", help="Numbers of ranks (devices), with commas.")
    ] = "1,8,64,512,4096,9408,75264",
    seconds: Annotated[float, typer.Option("--seconds", help="Time to measure.")] = 20.0,
    json: JsonOption = False,
    *,
    options: ScreenOptions,
) -> None:
    """Measure this machine and say what a large screening would take, under which assumptions."""
    _require_pyarrow()
    from atomfm_calc.screening.plan import ASSUMPTIONS, measure, project

    measured = measure(_campaign(what, options), seconds)
    rows = project(measured, candidates, [int(number) for number in ranks.split(",")])
    if json:
        content = {"measured": asdict(measured), "n_candidates": candidates}
        content["projections"] = [asdict(row) for row in rows]
        print_json(content | {"assumptions": list(ASSUMPTIONS)})
    else:
        _show_plan(measured, rows, candidates)


def _show_plan(measured: Measured, rows: Sequence[Projection], candidates: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from atomfm_calc.screening.plan import ASSUMPTIONS
    from atomfm_calc.screening.progress import duration

    console = Console()
    console.print(
        f"One rank here: {measured.structures_per_s:,.0f} structures/s (reading and neighbor lists "
        f"alone {measured.listing_per_s:,.0f}), {measured.atoms_per_structure:.1f} atoms and "
        f"{measured.edges_per_structure:.0f} edges each, {measured.rows_per_candidate:.1%} not "
        f"quarantined; {measured.bytes_per_row:.0f} bytes a row, written at "
        f"{measured.store_MiB_per_s:.1f} MiB/s; {measured.start_s:.0f} s to start."
    )
    table = Table("ranks", "structures/s", "time", "MiB/s to the store", "bound by")
    for row in rows:
        bound = "store" if row.is_bound_by_store else "model"
        table.add_row(
            f"{row.ranks:,}", f"{row.structures_per_s:,.0f}", duration(row.seconds),
            f"{row.store_MiB_per_s:,.1f}", bound,
        )  # fmt: skip
    console.print(table)
    total = candidates * measured.rows_per_candidate * measured.bytes_per_row / 2**30
    console.print(f"{candidates:,.0f} candidates make {total:,.1f} GiB. Assumed:")
    for assumption in ASSUMPTIONS:
        console.print(f"- {assumption}", highlight=False)


@screen_app.command("report")
def report_command(
    folder: Annotated[Path, typer.Argument(help="Folder of results (--out of the run).")],
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file; report.html in the folder if left out.")
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Structures to draw.")] = 12,
    json: JsonOption = False,
) -> None:
    """Make one HTML page of histograms, elements, structures, throughput and quarantine."""
    _require_pyarrow()
    from atomfm_calc.screening.report import write_report

    path = write_report(folder, folder / "report.html" if out is None else out, top)
    if json:
        print_json({"page": str(path)})
    else:
        typer.echo(f"wrote {path}")
