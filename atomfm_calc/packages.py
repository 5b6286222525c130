"""Packages of extras: a missing one is told by name, with the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec

from atomfm_calc.errors import SetupError

EXTRAS = {
    "pyarrow": "screening",
    "matscipy": "elastic",
    "phonopy": "phonons",
    "spglib": "phonons",
    "mace": "mace",
    "torch_geometric": "pyg",
    "mpi4py": "mpi",
    "adios2": "training",
    "lmdb": "training",
    "ase_db_backends": "training",
}
"""Package -> the extra that has it."""


def require(*packages: str) -> None:
    """Refuse to go on without packages that are about to be imported.

    Raises:
        SetupError: one is missing.
    """
    for package in packages:
        if find_spec(package) is None:
            raise SetupError(
                f'{package} is not installed; pip install "atomfm[{EXTRAS[package]}]" brings it'
            )
