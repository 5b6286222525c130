"""Models by name: those that ship with the package, and any model folder.

Shipped models are folders `registry/shipped/NAME-VERSION`; a name without version is the newest.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from atomfm_calc.errors import WeightsError, listing, lookup
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.weights import WEIGHTS_FILE, load_weights, sha256_of
from atomfm_calc.registry.card import CARD_FILE, ModelCard, load_card

logger = logging.getLogger(__name__)

SHIPPED = Path(__file__).parent / "shipped"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model and its card, checked against each other."""

    model: FoundationModel
    """In evaluation mode, frozen, float32, on the CPU."""
    card: ModelCard
    """What it is."""
    folder: Path
    """Where it was read."""


def list_models() -> dict[str, ModelCard]:
    """Cards of the shipped models by "name-version", oldest version first; reads no weights."""
    cards = {}
    for folder in sorted(SHIPPED.glob("*/"), key=_version_key):
        if (folder / CARD_FILE).exists():
            cards[folder.name] = load_card(folder)
    return cards


def find_model(name: str | Path) -> Path:
    """The folder of a model.

    Args:
        name: a shipped name ("painn-lead"), name and version ("painn-lead-0.1.0"), or the path of
            a model folder (it holds `card.yaml`; a path is recognized by a separator or by
            existing).

    Raises:
        UnknownNameError: no such name; lists the shipped ones.
        WeightsError: a path that is no model folder.
    """
    path = Path(name).expanduser()
    if (path / CARD_FILE).is_file():
        return path
    if isinstance(name, Path) or len(path.parts) > 1 or path.exists():
        raise WeightsError(
            f"{path} is no model folder: it has no {CARD_FILE}. Give a folder made by "
            f"`python -m training export` or one of: {listing(_shipped_names())}"
        )
    return lookup(_shipped_names(), str(name), "model", "atomfm (or give the path of a folder)")


def load_model(name: str | Path, kernel: str = "reference") -> LoadedModel:
    """Load a model by name or folder and verify it.

    Args:
        name: as in `find_model`.
        kernel: key of `KERNELS`.

    Raises:
        UnknownNameError, WeightsError, ConfigError: not found, damaged, or card and weights differ.
    """
    folder = find_model(name)
    card = verify_model(folder)
    model = load_weights(folder / WEIGHTS_FILE, kernel)
    if set(model.head_names) != set(card.heads):
        raise WeightsError(
            f"{folder}: the card describes the heads {listing(card.heads)}, the weights hold "
            f"{listing(model.head_names)}; export the model again"
        )
    return LoadedModel(model=model, card=card, folder=folder)


def verify_model(folder: str | Path) -> ModelCard:
    """Check the weights of a model folder against the SHA-256 of its card and return the card."""
    card = load_card(folder)
    weights = Path(folder) / WEIGHTS_FILE
    if not weights.is_file():
        raise WeightsError(f"there is no model file {weights}")
    found = sha256_of(weights)
    if found != card.weights_sha256:
        raise WeightsError(
            f"{weights} has SHA-256 {found}, its card says {card.weights_sha256}: the file was "
            "changed or damaged; install or export the model again"
        )
    return card


def _shipped_names() -> dict[str, Path]:
    names: dict[str, Path] = {}
    for folder in sorted(SHIPPED.glob("*/"), key=_version_key):
        if (folder / CARD_FILE).is_file():
            names[folder.name.rpartition("-")[0]] = folder  # the newest version comes last
            names[folder.name] = folder
    return names


def _version_key(folder: Path) -> tuple[str, tuple[int, ...]]:
    name, _, version = folder.name.rpartition("-")
    return name, tuple(int(part) for part in version.split(".") if part.isdigit())
