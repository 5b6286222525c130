"""`python -m training datasets check`: the doctor on the terminal and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from atomfm_calc.config import parse_config
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.registry.catalog import LoadedModel, load_model
from training.doctor.checks import examine
from training.doctor.report import Report, ranges
from training.own_data import OwnData

UNIT_WORDS: dict[str, str] = {
    "energy": "energy_unit",
    "length": "length_unit",
    "forces": "forces_unit",
    "stress": "stress_unit",
    "stress_sign": "stress_sign",
    "stress_is": "stress_is",
}
"""Words of --units and the fields of `OwnData`."""
KEY_WORDS: dict[str, str] = {
    "energy": "energy_key",
    "forces": "forces_key",
    "stress": "stress_key",
    "group": "group_key",
}
"""Words of --keys and the fields of `OwnData`."""
SIGNS = {"tension": "tension positive", "compression": "compression positive"}
"""Short for the values of `OwnData.stress_sign`."""
COLORS = {"ok": "green", "suspicious": "yellow", "wrong": "red"}
NO_MODEL = "none"


def check(
    file: Annotated[Path, typer.Argument(help="Extended XYZ, ASE database or trajectory.")],
    units: Annotated[
        list[str] | None,
        typer.Option(help="energy=hartree, forces=hartree/bohr, stress_sign=compression ..."),
    ] = None,
    keys: Annotated[
        list[str] | None, typer.Option(help="energy=KEY, forces=KEY, stress=KEY, group=KEY.")
    ] = None,
    model: Annotated[str, typer.Option(help="Model to compare with, or none.")] = "painn-lead",
    rows: Annotated[int | None, typer.Option(min=1, help="Look at the first rows only.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report here as JSON.")
    ] = None,
) -> None:
    """Examine a user's file: units, signs, missing labels, outliers. Exit status 1: wrong."""
    own = own_data(file, units or (), keys or ())
    report = examine(own, _model(model), rows)
    show(report, Console())
    if json_file is not None:
        json_file.write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    if report.verdict == "wrong":
        raise typer.Exit(1)


def own_data(
    file: Path, units: list[str] | tuple[str, ...] = (), keys: list[str] | tuple[str, ...] = ()
) -> OwnData:
    """The description of a file from the words of the command line.

    Raises:
        ConfigError, UnknownNameError: a word or unit that is not known.
    """
    content: dict[str, Any] = {"path": file}
    for options, words, option in ((units, UNIT_WORDS, "--units"), (keys, KEY_WORDS, "--keys")):
        for part in (part for text in options for part in text.split(",")):
            word, separator, value = part.partition("=")
            if not separator:
                raise ConfigError(f"{option} {part!r} has no '='; write {option} energy=VALUE")
            field = lookup(words, word.strip(), f"word of {option}", "check")
            content[field] = value.strip()
    sign = content.get("stress_sign")
    if sign is not None:
        content["stress_sign"] = SIGNS.get(sign, sign)
    return parse_config(OwnData, content, origin="command line")


def show(report: Report, console: Console) -> None:
    """The report as a table, worst findings in red, and a line with the verdict."""
    table = Table(title=f"{report.file}: {report.n_rows} rows", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what was found", overflow="fold")
    table.add_column("rows", overflow="fold", max_width=24)
    for finding in report.findings:
        color = COLORS[finding.verdict]
        text = escape(finding.message)
        if finding.advice and finding.verdict != "ok":
            text += f"\n[italic]{escape(finding.advice)}[/italic]"
        rows = "all" if len(finding.rows) == report.n_rows > 1 else ranges(finding.rows, 6)
        table.add_row(finding.check, f"[{color}]{finding.verdict}[/{color}]", text, rows)
    console.print(table)
    counts = {name: sum(f.verdict == name for f in report.findings) for name in COLORS}
    console.print(
        f"{report.verdict}: "
        + ", ".join(f"{count} {name}" for name, count in counts.items())
        + ". Rows are counted from 0."
    )


def _model(name: str) -> LoadedModel | None:
    return None if name == NO_MODEL else load_model(name)
