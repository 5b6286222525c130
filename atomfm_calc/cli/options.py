"""Options that several commands share, and the calculator that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ase import Atoms

    from atomfm_calc.calculators.setup import CalculatorSettings

StructureFile = Annotated[
    Path, typer.Argument(help="Structures: extxyz, cif, POSCAR, traj ... (what ASE reads).")
]
ModelOption = Annotated[str, typer.Option("--model", help="Shipped name or model folder.")]
HeadOption = Annotated[
    str | None, typer.Option("--head", help="Level of theory; the card names the default.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N.")]
DtypeOption = Annotated[str, typer.Option("--dtype", help="float32 or float64.")]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--matmul-precision", help="highest; faster, less exact: tf32 (CUDA), bf16. Of float32."
    ),
]
ChargeOption = Annotated[
    int | None, typer.Option("--charge", help="Total charge in e; else the file says, or 0.")
]
MultiplicityOption = Annotated[
    int | None, typer.Option("--multiplicity", help="2S+1; else the file says, or 1.")
]
UnseenOption = Annotated[
    bool,
    typer.Option("--allow-unseen-elements", help="Compute elements the head was not trained on."),
]
IndexOption = Annotated[int, typer.Option("--index", help="Which structure of the file.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")]

DEFAULT_MODEL = "painn-lead"


def settings_from_options(
    head: str | None,
    device: str,
    dtype: str,
    matmul_precision: str,
    charge: int | None,
    multiplicity: int | None,
    allow_unseen_elements: bool,
) -> CalculatorSettings:
    """The calculator settings that the options describe."""
    from atomfm_calc.calculators.setup import CalculatorSettings

    return CalculatorSettings(
        head=head,
        device=device,
        default_dtype=dtype,
        matmul_precision=matmul_precision,
        charge=charge,
        multiplicity=multiplicity,
        allow_unseen_elements=allow_unseen_elements,
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
        raise DataError(f"there is no file {path}")
    try:
        found = ase.io.read(path, index=index)
    except UnknownFileTypeError as error:
        raise DataError(f"{path} is of no format that ASE knows; try .extxyz or .cif") from error
    except (IndexError, StopIteration) as error:
        raise DataError(f"{path} has no structure {index}") from error
    except Exception as error:  # ASE's readers raise whatever they stumble on
        raise DataError(f"cannot read {path}: {type(error).__name__}: {error}") from error
    structures = found if isinstance(found, list) else [found]
    if not structures:
        raise DataError(f"{path} holds no structure")
    return structures
