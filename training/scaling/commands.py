"""`python -m training scaling`: measure step times here, extend them to large machines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scaling(
    config: Annotated[Path, typer.Option(help="Configuration of the run.")],
    out: Annotated[Path, typer.Option(help="Folder for runs and report.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value, in place of the file's.")
    ] = None,
    ranks: Annotated[str, typer.Option(help="Numbers of processes to measure with.")] = "1,2,4",
    machines: Annotated[
        str, typer.Option(help="To extend to: names or YAML files.")
    ] = "frontier,aurora,perlmutter",
    steps: Annotated[int, typer.Option(min=2, help="Measured per run.")] = 30,
    device_factor: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Speed of the machines' devices relative to this one."),
    ] = None,
    structures_per_rank: Annotated[
        float | None, typer.Option(min=1.0, help="Batch of a modelled rank; else as measured.")
    ] = None,
) -> None:
    """Measure the parts of a training step; model weak and strong scaling from them."""
    from atomfm_calc.errors import ConfigError
    from training.scaling.machine import load_machine
    from training.scaling.study import StudyRequest, run_study, write_study

    words = [word.strip() for word in ranks.split(",")]
    if not all(word.isdecimal() for word in words):
        raise ConfigError(f"--ranks is {ranks!r}; write numbers of processes, such as 1,2,4")
    request = StudyRequest(
        config=config,
        ranks=tuple(int(word) for word in words),
        machines=tuple(load_machine(name.strip()) for name in machines.split(",")),
        out=out,
        steps=steps,
        overrides=tuple(overrides or ()),
        factor=device_factor,
        structures_per_rank=structures_per_rank,
    )
    study = run_study(request)
    for path in write_study(study, out):
        typer.echo(str(path))
