"""Models by name: those that ship with the package, and any model folder.

Shipped models are folders `registry/shipped/NAME-VERSION`; a name without version is the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from atomfm_calc.errors import WeightsError, listing, lookup
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.gate import GATE_FILE, CompositionGate, load_gate, save_gate
from atomfm_calc.models.weights import WEIGHTS_FILE, load_weights, sha256_of
from atomfm_calc.registry.card import CARD_FILE, ModelCard, load_card, save_card

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
    gate: CompositionGate | None = None
    """What `head="mixture"` weighs the heads by; None: the heads cannot be mixed."""


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
    if set(model.property_configs) != set(card.properties):
        raise WeightsError(
            f"{folder}: the card describes the properties {listing(card.properties)}, the weights "
            f"hold {listing(model.property_configs)}; export the model again"
        )
    if set(model.head_names) != set(card.heads):
        raise WeightsError(
            f"{folder}: the card describes the heads {listing(card.heads)}, the weights hold "
            f"{listing(model.head_names)}; export the model again"
        )
    gate = None if card.gate_sha256 is None else load_gate(folder / GATE_FILE)
    if gate is not None:
        _check_heads(gate, card, folder)
    return LoadedModel(model=model, card=card, folder=folder, gate=gate)


def verify_model(folder: str | Path) -> ModelCard:
    """Check the files of a model folder against the SHA-256 of its card and return the card."""
    card = load_card(folder)
    _verify_file(Path(folder) / WEIGHTS_FILE, card.weights_sha256)
    gate = Path(folder) / GATE_FILE
    if card.gate_sha256 is not None:
        _verify_file(gate, card.gate_sha256)
    elif gate.exists():
        raise WeightsError(
            f"the card of {folder} does not name {GATE_FILE}; remove the file, or add it with "
            "`python -m training gate`"
        )
    return card


def add_gate(folder: str | Path, gate: CompositionGate, measured: Mapping[str, str]) -> ModelCard:
    """Write a gate into a model folder, and its SHA-256 and figures on the card.

    Args:
        folder: of a model; an earlier gate is replaced.
        gate: has the heads of the model.
        measured: figures for the card.

    Raises:
        WeightsError: no model folder, a damaged one, or a gate of other heads.
    """
    folder = Path(folder)
    card = load_card(folder)
    _check_heads(gate, card, folder)
    checksum = save_gate(gate, folder / GATE_FILE)
    card = replace(card, gate_sha256=checksum, measured={**card.measured, **measured})
    save_card(card, folder)
    return card


def _check_heads(gate: CompositionGate, card: ModelCard, folder: Path) -> None:
    if set(gate.heads) != set(card.heads):
        raise WeightsError(
            f"{folder}: the gate weighs {listing(gate.heads)}, the model has "
            f"{listing(card.heads)}; make a gate for this model: python -m training gate"
        )


def _verify_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise WeightsError(f"there is no model file {path}")
    found = sha256_of(path)
    if found != expected:
        raise WeightsError(
            f"{path} has SHA-256 {found}, its card says {expected}: the file was "
            "changed or damaged; install or export the model again"
        )


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
