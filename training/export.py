"""A run -> a model folder: weights and card."""

from __future__ import annotations

import json
import logging
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError, listing, lookup
from atomfm_calc.models.weights import WEIGHTS_FILE, save_weights
from atomfm_calc.registry.card import HeadInfo, ModelCard, Validation, save_card
from atomfm_calc.registry.catalog import add_parity
from atomfm_calc.registry.parity import load_parity
from training.assemble import info_of
from training.config import PretrainConfig
from training.datasets.adapter import DatasetInfo
from training.evaluate import Evaluation, evaluation_file, load_average, read_evaluation
from training.pretrain import load_run_config
from training.training_data import SUMMARY_FILE

logger = logging.getLogger(__name__)

SPLIT_WORDS = {
    "composition": "by composition: no reduced formula in two splits",
    "random": "random structures of the same systems",
}


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class CardText:
    """What a card says that no program can know; one YAML file."""

    name: str
    """Name without version."""
    version: str
    """Never used twice for different weights."""
    title: str
    """One line."""
    description: str
    """What it is and how it was made."""
    licence: str
    """Of the weights."""
    citation: str
    """How to cite it."""
    default_head: str
    """Head of `FoundationCalc(name)`."""
    default_head_reason: str
    """Why that one."""
    commands: tuple[str, ...] = ()
    """The commands that made it."""
    measured: dict[str, str] = field(default_factory=dict)
    """Further figures."""
    good_for: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Head -> uses that were checked, in place of those of the dataset."""
    not_for: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Head -> uses that will fail, in place of those of the dataset."""
    drop_heads: tuple[str, ...] = ()
    """Heads of the run that are left out."""


def export(
    run: Path,
    folder: Path,
    text: CardText,
    split: str = "test",
    *,
    private: bool = False,
    parity: Path | None = None,
) -> ModelCard:
    """Write the averaged weights of a run and their card.

    Errors of the model and of the references come from `evaluation-SPLIT.json` of the run, those of
    heads trained alone from `alone/HEAD/evaluation-SPLIT.json`, as far as there are such files.

    Args:
        run: a run folder.
        folder: the model folder to write.
        text: the card's words.
        split: whose errors to quote.
        private: also heads whose data may not be passed on; the card says so.
        parity: labels and predictions of the run, to be shipped for the model's page; None: none.

    Raises:
        ConfigError: a head whose data is not redistributable, a text for a head that is not there,
            or labels and predictions of another model.
    """
    config = load_run_config(run)
    model = load_average(run)
    for name in text.drop_heads:
        model.drop_head(name)
    for name in (*text.good_for, *text.not_for):
        model.head(name)
    infos = {name: info_of(name, config.data) for name in model.head_names}
    closed = [name for name, info in infos.items() if not info.redistributable]
    if closed and not private:
        raise ConfigError(
            f"the data of {listing(closed)} may not be passed on, nor weights made from it; put "
            "them under drop_heads, or export for yourself with --private"
        )
    heads = {name: head_info(run, name, infos[name], text, split) for name in model.head_names}
    pairs = None if parity is None else load_parity(parity, model.head_names)
    folder.mkdir(parents=True, exist_ok=True)
    checksum = save_weights(model, folder / WEIGHTS_FILE)
    card = ModelCard(
        name=text.name,
        version=text.version,
        title=text.title,
        description=text.description,
        licence=f"private use only: {listing(closed)}" if closed else text.licence,
        citation=text.citation,
        weights_sha256=checksum,
        default_head=text.default_head,
        default_head_reason=text.default_head_reason,
        heads=heads,
        commands=text.commands,
        measured=_measured(config, run) | text.measured,
    )
    save_card(card, folder)
    if pairs is not None:
        card = add_parity(folder, pairs)
    logger.info("wrote %s: %s", folder, card.label)
    return card


def head_info(run: Path, name: str, info: DatasetInfo, text: CardText, split: str) -> HeadInfo:
    """The card of one head from its dataset, the run's data summary and the evaluations."""
    content = json.loads((run / SUMMARY_FILE).read_text(encoding="utf-8"))["heads"]
    seen: dict[str, Any] = lookup(content, name, "head", str(run))
    return HeadInfo(
        title=info.title,
        theory=info.theory,
        code=info.code,
        data=info.data,
        source=info.source,
        licence=info.licence,
        elements=seen["elements"],
        n_structures=seen["n_structures"],
        periodicity=tuple(seen["periodicity"]),
        charges=tuple(seen["charges"]) if info.uses_charge else (0,),
        multiplicities=tuple(seen["multiplicities"]) if info.uses_charge else (1,),
        uses_charge=info.uses_charge,
        labels=seen["labels"],
        energy_zero=info.energy_zero,
        validation=_validation(run, name, info, split),
        good_for=text.good_for.get(name, info.good_for),
        not_for=text.not_for.get(name, info.not_for),
    )


def _validation(run: Path, name: str, info: DatasetInfo, split: str) -> Validation | None:
    joint = _evaluation(run, split)
    if joint is None or name not in joint.model:
        return None
    alone = _evaluation(run / "alone" / name, split)
    return Validation(
        split=f"{split}, {SPLIT_WORDS[info.split]}",
        n_structures=joint.n_structures[name],
        joint=joint.model[name],
        alone=None if alone is None else alone.model.get(name),
        references_only=joint.references_only[name],
    )


def _evaluation(run: Path, split: str) -> Evaluation | None:
    path = run / evaluation_file(split)
    return read_evaluation(path) if path.is_file() else None


def _measured(config: PretrainConfig, run: Path) -> dict[str, str]:
    summary = json.loads((run / SUMMARY_FILE).read_text(encoding="utf-8"))["heads"]
    n_train = sum(entry["n_structures"]["train"] for entry in summary.values())
    return {"training structures": f"{n_train} in {len(summary)} heads", "seed": str(config.seed)}
