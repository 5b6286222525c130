"""Runs of HydraGNN -> model folders: `atomfm models import-hydragnn`.

Reads the log folder that HydraGNN leaves (`hydragnn_files`), brings architecture and tensors into
ours (`hydragnn_weights`), measures what users must know (`hydragnn_probes`) and writes weights,
card and, if the run has one, the gate that weighs the heads.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from ase.data import atomic_numbers
from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, load_config, parse_config
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.gate import read_branch_weights
from atomfm_calc.models.weights import WEIGHTS_FILE, blank_model, save_weights
from atomfm_calc.registry import hydragnn_release as release
from atomfm_calc.registry.card import CARD_FILE, ModelCard, save_card
from atomfm_calc.registry.catalog import add_gate
from atomfm_calc.registry.hydragnn_files import HydraRun, read_run
from atomfm_calc.registry.hydragnn_probes import describe_rotation, describe_size
from atomfm_calc.registry.hydragnn_weights import (
    architecture_of,
    branches_of,
    predicts_variance,
    translate,
)

logger = logging.getLogger(__name__)

BRANCH_WEIGHTS_FILE = "mlp_branch_weights.pt"
MAX_NEIGHBORS: dict[str, int | None] = {"all": None, "hydragnn": 20}
"""Neighbors within the cutoff: all of them, or what HydraGNN's inference keeps."""
UNKNOWN_LICENCE = "that of the checkpoint, which does not state it"
CITATION = "the authors of the checkpoint, and HydraGNN: https://github.com/ORNL/HydraGNN"


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class HeadNames:
    """What the branches of a run are called; a file for `--head-names`."""

    branches: dict[int, str]
    """Name of the head by number of the branch."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class References:
    """Element reference energies that HydraGNN took off before training; for `--references`."""

    heads: dict[str, dict[str, float]]
    """eV by head and element symbol."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class CardChanges:
    """Fields of the card that the user knows better; a file for `--card`."""

    name: str | None = None
    """See `ModelCard`, as all below."""
    version: str | None = None
    title: str | None = None
    description: str | None = None
    licence: str | None = None
    citation: str | None = None
    default_head: str | None = None
    default_head_reason: str | None = None
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By head, fields of `HeadInfo`."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ImportChoices:
    """What the checkpoint does not say."""

    head_names: Path | None = None
    """YAML of `HeadNames`; None: the 2026 release if there are sixteen, else "branch-0" etc."""
    card: Path | None = None
    """YAML of `CardChanges`."""
    references: Path | None = None
    """YAML of `References`."""
    neighbors: Literal["all", "hydragnn"] = "all"
    """Key of `MAX_NEIGHBORS`."""


def import_hydragnn(
    run_folder: str | Path, folder: str | Path, choices: ImportChoices | None = None
) -> ModelCard:
    """Turn a run of HydraGNN into a model folder.

    Args:
        run_folder: has `config.json` and checkpoints; or one of the checkpoints.
        folder: of the new model; must not hold one.
        choices: None: the defaults.

    Returns:
        the card, which says what was measured.

    Raises:
        WeightsError: see `read_run`, `architecture_of` and `translate`.
        ConfigError: a file of the choices that is wrong, or a folder that holds a model.
        UnknownNameError: a file of the choices that names another head or element.
    """
    choices, folder = choices or ImportChoices(), Path(folder)
    if (folder / CARD_FILE).exists():
        raise ConfigError(f"{folder} holds a model already; give a new folder")
    run = read_run(run_folder)
    names, is_release = _head_names(run, choices.head_names)
    changes = CardChanges() if choices.card is None else load_config(CardChanges, choices.card)
    model = _build(run, names, MAX_NEIGHBORS[choices.neighbors])
    if choices.references is not None:
        _fill_references(model, load_config(References, choices.references).heads)
    content = _card_content(run, model, changes, is_release)
    card = parse_config(ModelCard, {**content, "weights_sha256": "0"}, "the card of the import")
    folder.mkdir(parents=True, exist_ok=True)
    checksum = save_weights(model, folder / WEIGHTS_FILE, model.dtype)
    version = card.version or checksum[:12]
    card = replace(card, weights_sha256=checksum, version=version)
    save_card(card, folder)
    return _with_gate(run, card, folder)


def _build(run: HydraRun, names: Mapping[int, str], max_neighbors: int | None) -> FoundationModel:
    """The model in the precision of the checkpoint, float32 at least."""
    architecture = architecture_of(run, names, max_neighbors)
    state = translate(run, architecture, names)
    precisions = {tensor.dtype for tensor in run.state.values()}
    dtype = torch.float64 if torch.float64 in precisions else torch.float32
    model = blank_model(architecture, list(names.values()), "reference").to(dtype)
    own = {name: value for name, value in model.state_dict().items() if name not in state}
    model.load_state_dict({**own, **state})
    return model.eval().requires_grad_(False)


def _head_names(run: HydraRun, path: Path | None) -> tuple[dict[int, str], bool]:
    """Branch -> name, and whether they are the branches of the 2026 release."""
    branches = branches_of(run)
    if path is not None:
        given = load_config(HeadNames, path).branches
        missing = [branch for branch in branches if branch not in given]
        if missing:
            raise ConfigError(f"{path} names no branch {missing}; the checkpoint has {branches}")
        return {branch: given[branch] for branch in branches}, False
    heads = (run.architecture.get("output_heads") or {}).get("graph") or ()
    if len(heads) == len(release.RELEASE):
        logger.info("%d branches: taken for those of HydraGNN's 2026 release", len(heads))
        every = list(release.RELEASE)
        return {branch: every[branch] for branch in branches}, True
    return {branch: f"branch-{branch}" for branch in branches}, False


def _fill_references(model: FoundationModel, heads: Mapping[str, Mapping[str, float]]) -> None:
    for name, energies in heads.items():
        references = model.head(name).references
        for symbol, energy in energies.items():
            references[lookup(atomic_numbers, symbol, "element", "the periodic table")] = energy


def _card_content(
    run: HydraRun, model: FoundationModel, changes: CardChanges, is_release: bool
) -> dict[str, Any]:
    """Fields of `ModelCard` without the checksum."""
    for name in changes.heads:
        model.head(name)
    heads = {}
    for name in model.head_names:
        own = dict(changes.heads.get(name, {}))
        if model.head(name).references.any():
            own.setdefault("energy_zero", "that of the element reference energies given at import")
        heads[name] = release.head_info(name, own, is_release=is_release)
    first = model.head_names[0]
    preferred = is_release and release.DEFAULT_HEAD in heads
    content: dict[str, Any] = {
        "name": re.sub(r"[^a-z0-9]+", "-", run.name.lower()).strip("-"),
        "version": "",
        "title": f"HydraGNN's PaiNN, {len(heads)} heads, imported",
        "description": _description(run, model),
        "licence": UNKNOWN_LICENCE,
        "citation": CITATION,
        "default_head": release.DEFAULT_HEAD if preferred else first,
        "default_head_reason": release.DEFAULT_HEAD_REASON if preferred else "the first branch",
        "heads": heads,
        "measured": _measured(model),
    }
    given = {name: getattr(changes, name) for name in content if hasattr(changes, name)}
    return content | {name: value for name, value in given.items() if value and name != "heads"}


def _description(run: HydraRun, model: FoundationModel) -> str:
    config = model.architecture.hydra_painn
    layout = "5.0, vectors with biases" if config.biased_vectors else "later than 5.0"
    files = ", ".join(file.name for file in run.files)
    has_references = any(model.head(name).references.any() for name in model.head_names)
    sentences = [
        f"Imported from {files}, written by a HydraGNN {layout}.",
        "One network reads the sum of all atoms' features: there are no energies of atoms, and "
        "energies of separated parts or supercells do not add up.",
        "Element reference energies were given at import for some or all heads."
        if has_references
        else "Energies are relative to element reference energies, which the checkpoint lacks.",
        _about_charge(run, config.conditioning),
        "All neighbors within the cutoff are used, in training there was a limit."
        if config.max_neighbors is None
        else f"Each atom sends to its nearest {config.max_neighbors} neighbors only: energies jump "
        "where their order changes.",
    ]
    if predicts_variance(run):
        sentences.append("The heads' second output, a variance, was left out.")
    return " ".join(sentences)


def _about_charge(run: HydraRun, conditioning: str) -> str:
    if conditioning != "none":
        return (
            f"Total charge and multiplicity 2S+1 enter as plain numbers ({conditioning}), 0 and 1 "
            "where nothing is said, as in the training data; HydraGNN never trains that layer."
        )
    reason = " (task-parallel training leaves it out)" if run.is_task_parallel else ""
    return f"Charge and multiplicity have no effect{reason}."


def _measured(model: FoundationModel) -> dict[str, str]:
    measured = {"size": describe_size(model)}
    if model.architecture.hydra_painn.biased_vectors:
        measured["orientation"] = describe_rotation(model)
    return measured


def _with_gate(run: HydraRun, card: ModelCard, folder: Path) -> ModelCard:
    """The card, with the run's gate if it has one for all of the heads."""
    path = run.files[0].parent / BRANCH_WEIGHTS_FILE
    if not path.is_file():
        return card
    heads = run.architecture["output_heads"]["graph"]
    if len(card.heads) < len(heads):
        logger.info(
            "%s weighs %d branches, %d are there: left out", path, len(heads), len(card.heads)
        )
        return card
    return add_gate(folder, read_branch_weights(path, list(card.heads)), {})
