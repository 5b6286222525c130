"""Packages of extras: a missing one is told by name, with the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec

from atomfm_calc.errors import SetupError


def require(package: str, extra: str) -> None:
    """Refuse to go on without a package that is about to be imported.

    Args:
        package: as it is imported.
        extra: of `pyproject.toml`, which brings it.

    Raises:
        SetupError: it is not installed.
    """
    if find_spec(package) is None:
        raise SetupError(f'{package} is not installed; pip install "atomfm[{extra}]" brings it')
