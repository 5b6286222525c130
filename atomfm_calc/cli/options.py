"""Options that several commands share: dataclasses whose fields are options of the command line."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

if TYPE_CHECKING:
    from ase import Atoms

    from atomfm_calc.calculators.calculator import FoundationCalc
    from atomfm_calc.calculators.setup import CalculatorSettings

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "painn-lead"

StructureFile = Annotated[
    Path, typer.Argument(help="Structures: extxyz, cif, POSCAR, traj ... (what ASE reads).")
]
ModelOption = Annotated[str, typer.Option("--model", help="Shipped name or model folder.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N.")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="float32 or float64.")]
UnseenOption = Annotated[
    bool,
    typer.Option("--allow-unseen-elements", help="Compute elements the head was not trained on."),
]


def plain_number(text: str) -> float:
    """A number without a unit; typer tells whose value it was."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no number; the unit is that of the option's name, so give 300, not 300K"
        ) from None


TemperatureOption = Annotated[
    float,
    typer.Option("--temperature-K", parser=plain_number, metavar="<float>", help="Kelvin."),
]
PressureOption = Annotated[
    float,
    typer.Option("--pressure-GPa", parser=plain_number, metavar="<float>", help="Of a free cell."),
]
TimestepOption = Annotated[
    float,
    typer.Option("--timestep-fs", parser=plain_number, metavar="<float>", help="Femtoseconds."),
]
IndexOption = Annotated[int, typer.Option("--index", help="Which structure of the file.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, say what would be done, and stop.")
]


@dataclass(frozen=True, kw_only=True)
class CalculatorOptions:
    """Which model computes, and how."""

    model: ModelOption = DEFAULT_MODEL
    """Shipped name or model folder."""
    head: Annotated[
        str | None, typer.Option("--head", help="Level of theory; the card names the default.")
    ] = None
    """None: the default of the card."""
    device: DeviceOption = "auto"
    """auto, cpu, cuda, cuda:N."""
    dtype: DtypeOption = "float32"
    """float32 or float64."""
    matmul_precision: Annotated[
        str,
        typer.Option(
            "--matmul-precision", help="highest; faster, less exact: tf32 (CUDA), bf16. Of float32."
        ),
    ] = "highest"
    """highest, tf32 or bf16."""
    charge: Annotated[
        int | None, typer.Option("--charge", help="Total charge in e; else the file says, or 0.")
    ] = None
    """e"""
    multiplicity: Annotated[
        int | None, typer.Option("--multiplicity", help="2S+1; else the file says, or 1.")
    ] = None
    """2S+1"""
    allow_unseen_elements: UnseenOption = False
    """Compute elements that the head was not trained on."""
    on_uncertain: Annotated[
        str,
        typer.Option(
            "--on-uncertain", help="Energies above --max-uncertainty: ignore, warn, raise (stop)."
        ),
    ] = "ignore"
    """ignore, warn or raise."""
    max_uncertainty: Annotated[
        float | None,
        typer.Option(
            "--max-uncertainty", help="eV/atom; else what 95 % of the held-out structures keep."
        ),
    ] = None
    """eV/atom, one standard deviation; None: the head's own."""

    def settings(self) -> CalculatorSettings:
        """The calculator settings that the options describe."""
        from atomfm_calc.calculators.setup import CalculatorSettings

        return CalculatorSettings(
            head=self.head,
            device=self.device,
            default_dtype=self.dtype,
            matmul_precision=self.matmul_precision,
            charge=self.charge,
            multiplicity=self.multiplicity,
            allow_unseen_elements=self.allow_unseen_elements,
            on_uncertain=cast(Any, self.on_uncertain),  # CalculatorSettings checks the word
            max_uncertainty=self.max_uncertainty,
        )

    def load(self) -> FoundationCalc:
        """The calculator."""
        from atomfm_calc.calculators.calculator import FoundationCalc

        return FoundationCalc.from_settings(self.model, self.settings())


@dataclass(frozen=True, kw_only=True)
class PreciseOptions(CalculatorOptions):
    """The same, for derivatives that rounding would spoil."""

    dtype: DtypeOption = "float64"
    """float32 or float64."""


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Where results go."""

    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results; default: FILE-workflow.")
    ] = None
    """None: named after file and workflow."""
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False
    """Replace earlier results."""
    json: JsonOption = False
    """Print JSON in place of a table."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(FolderOptions):
    """The same, of what takes long."""

    dry_run: DryRunOption = False
    """Compute nothing but one energy."""


@dataclass(frozen=True, kw_only=True)
class ResumableOptions(RunOptions):
    """The same, of what can go on after a stop."""

    resume: Annotated[bool, typer.Option("--resume", help="Go on in the folder.")] = False
    """Go on in the folder."""


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters of a dataclass are replaced by the options in its fields.

    `def relax(file, *, calculator: CalculatorOptions)` becomes a command with `--model`, `--head`
    and so on, and still gets one object.
    """
    hints = get_type_hints(function, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += _options_of(hints[name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[name], kind=kind))

    @wraps(function)
    def command(**values: Any) -> None:
        for name, group in groups.items():
            own = {field.name: values.pop(field.name) for field in fields(group)}
            values[name] = group(**own)
        function(**values)

    # typer reads both, and would find the dataclasses in what `wraps` has copied
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _options_of(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(group)
    ]


def note_unseen_periodicity(calc: FoundationCalc, structures: Iterable[Atoms]) -> None:
    """Say on the log that a head was trained on crystals only, or on molecules only, if so.

    It is no error: a head may know enough, as one of crystals does of an atom in a large box.
    """
    from atomfm_calc.registry.card import PERIODICITIES

    info = calc.heads.get(calc.head)  # none of a mixture, which leaves such heads out
    if info is None or not info.periodicity:
        return
    words = {PERIODICITIES[int(atoms.pbc.sum())] for atoms in structures}
    unseen = sorted(words - set(info.periodicity))
    if unseen:
        logger.warning(
            "head %r has seen structures of periodicity %s only, and here is %s; "
            "`atomfm models advise FILE` ranks the heads",
            *(calc.head, ", ".join(info.periodicity), ", ".join(unseen)),
        )


def read_structures(path: Path, index: str = ":") -> list[Atoms]:
    """Structures of a file.

    Raises:
        DataError: no such file, a format that ASE cannot read, no such structure, or an empty file.
    """
    import ase.io
    from ase.io.formats import UnknownFileTypeError

    from atomfm_calc.errors import DataError

    if not path.is_file():
        raise DataError(f"there is no file {path}{_near(path)}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; write it again, or name another file")
    try:
        found = ase.io.read(path, index=index)
    except UnknownFileTypeError as error:
        raise DataError(f"{path} is of no format that ASE knows; try .extxyz or .cif") from error
    except (IndexError, StopIteration) as error:
        if ":" in index:
            raise DataError(f"{path} holds no structure; was it written to the end?") from error
        raise DataError(f"{path} has no structure {index}; the first is 0, the last -1") from error
    except Exception as error:  # ASE's readers raise whatever they stumble on
        raise DataError(
            f"cannot read {path}: {type(error).__name__}: {error}; the name's ending must tell the "
            "format (.extxyz, .cif, .traj ...) and the file be complete"
        ) from error
    structures = found if isinstance(found, list) else [found]
    if not structures:
        raise DataError(f"{path} holds no structure; was it written to the end?")
    return structures


def _near(path: Path) -> str:
    """The file of the same folder whose name is nearest, as a question."""
    from difflib import get_close_matches

    if path.is_dir():
        return ", it is a folder; name a file in it"
    if not path.parent.is_dir():
        return f", nor a folder {path.parent}"
    names = [one.name for one in path.parent.iterdir() if one.is_file()]
    near = get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f". Did you mean {path.parent / near[0]}?" if near else ""
