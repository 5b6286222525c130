"""Label against prediction on held-out structures, in a file beside a model, for its page.

`python -m training evaluate RUN --parity FILE` writes it, `python -m training export --parity FILE`
puts it into the model folder. The labels belong to the data sets, whose licences are on the card;
`export` refuses heads whose data may not be passed on.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, field, replace
from pathlib import Path

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, parse_config
from atomfm_calc.errors import ConfigError, listing

PARITY_FILE = "parity.json"
"""In a model folder that has one."""
Pairs = tuple[tuple[float, float], ...]
"""Label and prediction."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class CurvePoint:
    """Validation errors of a head at one step of the training."""

    step: int
    """Optimizer steps done."""
    energy_mae_meV_per_atom: float | None = None
    """meV/atom"""
    forces_mae_meV_per_angstrom: float | None = None
    """meV/Å"""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class HeadParity:
    """One head on its held-out structures."""

    n_structures: int
    """All that were computed; the pairs are a sample of them."""
    energies: Pairs
    """eV/atom above the head's references."""
    forces: Pairs
    """Components, eV/Å; empty without force labels."""
    forces_mae_by_element: dict[str, float] = field(default_factory=dict)
    """meV/Å, over all held-out atoms of the element."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Parity:
    """Of all heads of a model."""

    split: str
    """validation or test."""
    heads: dict[str, HeadParity]
    """By name."""
    learning_curves: dict[str, tuple[CurvePoint, ...]] = field(default_factory=dict)
    """By head, as far as the run's log goes."""


def save_parity(parity: Parity, path: Path) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(parity)) + "\n", encoding="utf-8")


def load_parity(path: Path, heads: Collection[str]) -> Parity:
    """What `save_parity` wrote of the heads of a model; of heads that were left out, nothing.

    Raises:
        ConfigError: no such file, another content, or none of the heads.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(
            f"{path} is no JSON: {error}; `python -m training evaluate RUN --parity {path}` "
            "writes such a file"
        ) from error
    parity = parse_config(Parity, content, origin=str(path))
    known = {name: head for name, head in parity.heads.items() if name in heads}
    if not known:
        raise ConfigError(
            f"{path} is about the heads {listing(parity.heads)}, the model has {listing(heads)}; "
            "give the file of the run that made the model"
        )
    curves = {name: curve for name, curve in parity.learning_curves.items() if name in heads}
    return replace(parity, heads=known, learning_curves=curves)
