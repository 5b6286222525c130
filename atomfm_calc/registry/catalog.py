"""Models by name: those that ship with the package, and any model folder.

Shipped models are folders `registry/shipped/NAME-VERSION`; a name without version is the newest.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from atomfm_calc.errors import NoModelError, WeightsError, listing, lookup
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.gate import GATE_FILE, CompositionGate, load_gate, save_gate
from atomfm_calc.models.uncertainty import (
    UNCERTAINTY_FILE,
    HeadUncertainty,
    load_uncertainties,
    of_model,
    save_uncertainties,
)
from atomfm_calc.models.weights import WEIGHTS_FILE, load_weights, sha256_of
from atomfm_calc.registry.card import CARD_FILE, Calibration, ModelCard, load_card, save_card
from atomfm_calc.registry.parity import PARITY_FILE, Parity, load_parity, save_parity

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
    uncertainties: Mapping[str, HeadUncertainty] = field(default_factory=dict)
    """How far each head may be off; of the heads that know it."""


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
        NoModelError: a path that is no model folder.
    """
    path = Path(name).expanduser()
    if (path / CARD_FILE).is_file():
        return path
    if isinstance(name, Path) or len(path.parts) > 1 or path.exists():
        raise NoModelError(
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
        UnknownNameError, NoModelError: not found.
        WeightsError, ConfigError: damaged, or card and weights differ.
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
    uncertainties: Mapping[str, HeadUncertainty] = {}
    if card.uncertainty_sha256 is not None:
        path = folder / UNCERTAINTY_FILE
        uncertainties = of_model(load_uncertainties(path), model, path)
    return LoadedModel(
        model=model, card=card, folder=folder, gate=gate, uncertainties=uncertainties
    )


def verify_model(folder: str | Path) -> ModelCard:
    """Check the files of a model folder against the SHA-256 of its card and return the card."""
    card = load_card(folder)
    _verify_file(Path(folder) / WEIGHTS_FILE, card.weights_sha256)
    for name, (checksum, command) in _companions(card).items():
        path = Path(folder) / name
        if checksum is not None:
            _verify_file(path, checksum)
        elif path.exists():
            raise WeightsError(
                f"the card of {folder} does not name {name}; remove the file, or add it with "
                f"`python -m training {command}`"
            )
    return card


def _companions(card: ModelCard) -> dict[str, tuple[str | None, str]]:
    """File beside the weights -> its SHA-256, None if there is none, and the command for it."""
    return {
        GATE_FILE: (card.gate_sha256, "gate"),
        UNCERTAINTY_FILE: (card.uncertainty_sha256, "uncertainty"),
        PARITY_FILE: (card.parity_sha256, "export --parity"),
    }


def copy_model(origin: Path, folder: Path) -> None:
    """Copy weights, card and what the card names besides into a folder, unless it is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() == origin.resolve():
        return
    companions = _companions(load_card(origin))
    named = [name for name, (checksum, _) in companions.items() if checksum is not None]
    for name in (WEIGHTS_FILE, *named, CARD_FILE):
        shutil.copyfile(origin / name, folder / name)


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


def add_uncertainties(
    folder: str | Path,
    heads: Mapping[str, HeadUncertainty],
    calibrations: Mapping[str, Calibration],
    measured: Mapping[str, str],
) -> ModelCard:
    """Write uncertainties into a model folder, and their SHA-256 and quality on the card.

    Args:
        folder: of a model; earlier uncertainties are replaced.
        heads: of the heads that have them.
        calibrations: how good they are, of the heads where that is known.
        measured: figures for the card.

    Raises:
        WeightsError: no model folder, or a damaged one.
    """
    folder = Path(folder)
    card = load_card(folder)
    infos = {
        name: replace(info, uncertainty=calibrations.get(name)) for name, info in card.heads.items()
    }
    card = replace(
        card,
        uncertainty_sha256=save_uncertainties(heads, folder / UNCERTAINTY_FILE),
        heads=infos,
        measured={**card.measured, **measured},
    )
    save_card(card, folder)
    return card


def add_parity(folder: str | Path, parity: Parity) -> ModelCard:
    """Write labels and predictions into a model folder, and their SHA-256 on the card.

    Args:
        folder: of a model; an earlier file is replaced.
        parity: of heads of the model, whose data may be passed on as far as the model may.

    Raises:
        ConfigError: the folder has no card.
    """
    path = Path(folder) / PARITY_FILE
    card = load_card(folder)
    save_parity(parity, path)
    card = replace(card, parity_sha256=sha256_of(path))
    save_card(card, folder)
    return card


def parity_of(folder: str | Path, card: ModelCard) -> Parity | None:
    """Labels and predictions that lie in the folder of a verified model; None: there are none."""
    if card.parity_sha256 is None:
        return None
    return load_parity(Path(folder) / PARITY_FILE, card.heads)


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
