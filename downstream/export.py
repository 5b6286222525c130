"""A fitted model as a model folder, which `FoundationCalc` and `predict_many` load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomfm_calc.models.weights import WEIGHTS_FILE, save_weights
from atomfm_calc.registry.card import (
    HeadInfo,
    ModelCard,
    PropertyInfo,
    SplitErrors,
    Validation,
    save_card,
)
from atomfm_calc.sample import Sample
from downstream.adapt import Adapted
from downstream.dataset import RecipeData
from downstream.fit import Cell, Fitted
from downstream.labeled import pack_samples
from downstream.modes import MODES
from downstream.recipe import Recipe, Target
from downstream.scores import Scores
from downstream.splits import Parts
from training.describe import describe

MADE_BY = "python -m downstream run"
VERSION = "1"
"""Of a model that was fitted once; the checksum on its card tells it from others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """What a model came from, for its card."""

    recipe: Recipe
    """With all overrides."""
    cell: Cell
    """Which training."""
    data: RecipeData
    """Of which the cell had a part."""
    parts: Parts
    """That part."""


def export_model(fitted: Fitted, origin: Origin, scores: Scores, folder: Path) -> ModelCard:
    """Write weights and card.

    Pretrained heads stay if nothing below them was changed, or if they were trained along (replay);
    others have forgotten and are left out.

    Args:
        fitted: merged and frozen; loses heads that are left out.
        origin: what it came from.
        scores: of the test structures.
        folder: made if absent.
    """
    recipe, adapted = origin.recipe, fitted.adapted
    keep = _kept_heads(origin.cell, fitted)
    model = adapted.model
    own = () if recipe.potential is None else (recipe.potential.head,)
    for name in model.head_names:
        if name not in (*keep, *own):
            model.drop_head(name)
    folder.mkdir(parents=True, exist_ok=True)
    checksum = save_weights(model, folder / WEIGHTS_FILE)
    training = [origin.data.samples[place] for place in origin.parts.train]
    facts = _facts(training, origin.parts)
    old = {name: adapted.pretrained.card.heads[name] for name in keep}
    new = {name: _head_info(origin, facts, scores) for name in own}
    properties = {
        name: _property_info(target, origin, facts, scores)
        for name, target in recipe.targets.items()
    }
    default = (*own, *keep, "")[0]
    n_trained_on = len(origin.parts.train) + len(origin.parts.validation)
    card = ModelCard(
        name=recipe.name,
        version=VERSION,
        title=f"{recipe.title}: {origin.cell.mode}, {n_trained_on} structures",
        description=_description(origin, adapted),
        licence=f"that of {adapted.pretrained.card.label} and of the data: {recipe.source.licence}",
        citation=f"{adapted.pretrained.card.citation} Data: {recipe.source.doi}",
        weights_sha256=checksum,
        default_head=default,
        default_head_reason="the head of the recipe" if own else "none is of the recipe",
        heads={name: (new | old)[name] for name in model.head_names},
        properties=properties,
        commands=(f"{MADE_BY} {recipe.name}",),
        measured={key: f"{value:.6g}" for key, value in scores["metrics"].items()},
    )
    save_card(card, folder)
    return card


def _kept_heads(cell: Cell, fitted: Fitted) -> tuple[str, ...]:
    mode = MODES[cell.mode]
    if mode.start == "pretrained" and mode.train == "head":
        return tuple(fitted.adapted.pretrained.card.heads)
    return fitted.replayed


def _facts(training: Sequence[Sample], parts: Parts) -> dict[str, Any]:
    """Elements, periodicity and numbers of structures, as cards have them."""
    n_structures = {
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": len(parts.test),
    }
    seen = describe(pack_samples(training, cutoff=0.01), n_structures)
    names = ("elements", "n_structures", "periodicity", "charges", "multiplicities", "labels")
    return {name: seen[name] for name in names}


def _head_info(origin: Origin, facts: Mapping[str, Any], scores: Scores) -> HeadInfo:
    recipe, potential = origin.recipe, origin.recipe.potential
    metrics = scores["metrics"]
    charged = potential is not None and potential.uses_charge
    return HeadInfo(
        title=recipe.title,
        theory=recipe.source.theory,
        code=recipe.source.code,
        data=origin.data.name,
        source=recipe.source.doi,
        licence=recipe.source.licence,
        elements=facts["elements"],
        n_structures=facts["n_structures"],
        periodicity=tuple(facts["periodicity"]),
        charges=tuple(facts["charges"]) if charged else (0,),
        multiplicities=tuple(facts["multiplicities"]) if charged else (1,),
        uses_charge=charged,
        labels=facts["labels"],
        energy_zero="" if potential is None else potential.energy_zero,
        validation=Validation(
            split=origin.cell.fold,
            n_structures=len(origin.parts.test),
            joint=SplitErrors(
                energy_mae_meV_per_atom=metrics.get("energy MAE, meV/atom"),
                forces_mae_meV_per_angstrom=metrics.get("forces MAE, meV/Å"),
                stress_mae_GPa=metrics.get("stress MAE, GPa"),
            ),
        ),
    )


def _property_info(
    target: Target, origin: Origin, facts: Mapping[str, Any], scores: Scores
) -> PropertyInfo:
    recipe = origin.recipe
    name = next(key for key, value in recipe.targets.items() if value is target)
    return PropertyInfo(
        title=target.description or f"{recipe.title}: {name}",
        level=target.level,
        unit=target.unit,
        classes=target.classes,
        theory=recipe.source.theory,
        code=recipe.source.code,
        data=origin.data.name,
        source=recipe.source.doi,
        licence=recipe.source.licence,
        elements=facts["elements"],
        n_structures=facts["n_structures"],
        periodicity=tuple(facts["periodicity"]),
        split=origin.cell.fold,
        test_errors={
            key: value for key, value in scores["metrics"].items() if key.startswith(f"{name} ")
        },
    )


def _description(origin: Origin, adapted: Adapted) -> str:
    mode, pretrained = MODES[origin.cell.mode], adapted.pretrained.card.label
    begun = "Fresh weights in the architecture of" if mode.start == "scratch" else "Fine-tuned from"
    reused = f" The new head began as {adapted.reused_head}." if adapted.reused_head else ""
    return (
        f"{begun} {pretrained} ({origin.cell.mode}) on {origin.data.name}: "
        f"{len(origin.parts.train)} training and {len(origin.parts.validation)} validation "
        f"structures, seed {origin.cell.seed}.{reused}"
    )
