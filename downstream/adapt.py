"""Model surgery: a pretrained or fresh backbone, new heads on it, and what was fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from atomfm_calc.errors import DataError
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.property_heads import PropertyHead, PropertyHeadConfig
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import LoadedModel
from atomfm_calc.sample import Sample
from downstream.additive import fit_additive
from downstream.labeled import label_tensors
from downstream.modes import Mode, free_weights
from downstream.recipe import Recipe, Target
from downstream.reuse import choose_head, composition, refit
from training.data.packed import PackedGraphs
from training.data.statistics import fit_scale
from training.start import FRESH_HEAD_SCALE

SMALLEST_DEVIATION = 1e-6
"""Of a learned value, if all training labels are the same."""
FRESH = "fresh"
"""Word for an energy head that begins with new weights."""


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A model that is ready to be trained."""

    model: FoundationModel
    """Requires gradients where it is trained."""
    pretrained: LoadedModel
    """What it began with, or whose architecture it has."""
    scales: dict[str, float]
    """Property -> deviation of the learned value: unit of its loss."""
    reused_head: str
    """Pretrained head that the new energy head began with; empty: none."""


def adapt(
    recipe: Recipe,
    mode: Mode,
    loaded: LoadedModel,
    training: PackedGraphs,
    samples: Sequence[Sample],
    seed: int,
) -> Adapted:
    """Build the model of one training.

    Args:
        recipe: heads and how they are trained.
        mode: where weights come from and which of them are trained.
        loaded: the pretrained model; becomes the adapted one, or gives its architecture.
        training: graphs of the training structures.
        samples: the same structures.
        seed: of fresh weights; torch's own random numbers stay where they are.
    """
    device = torch.device(recipe.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = loaded.model.to(device)
        if mode.start == "scratch":
            model = FoundationModel(model.architecture, (), model.kernel).to(device)
        scales, reused = {}, ""
        if recipe.potential is None:
            for name, target in recipe.targets.items():
                head = model.add_property_head(name, head_config(target))
                labels = label_tensors(samples, name, per_atom=target.level == "atom")
                scales[name] = fit_property(head, target, labels, training)
        else:
            reused = _add_energy_head(recipe, mode, model, loaded.card, training)
        model.requires_grad_(False)
        free_weights(model.backbone, mode.train, recipe.adapt)
    new = model.property_heads if recipe.potential is None else model.head(recipe.potential.head)
    new.requires_grad_(True)
    return Adapted(model=model.to(device), pretrained=loaded, scales=scales, reused_head=reused)


def head_config(target: Target) -> PropertyHeadConfig:
    """The head that learns a target."""
    kind: Literal["structure-scalar", "structure-class", "atom-scalar"] = "structure-scalar"
    if target.classes:
        kind = "structure-class"
    elif target.level == "atom":
        kind = "atom-scalar"
    return PropertyHeadConfig(
        kind=kind,
        unit=target.unit,
        pooling=target.pooling,
        transform=target.transform,
        classes=target.classes,
    )


def fit_property(
    head: PropertyHead, target: Target, labels: Sequence[Tensor], training: PackedGraphs
) -> float:
    """Fit offset, references and scale of a head to the training labels.

    Args:
        head: has fresh weights; begins close to what is fitted.
        target: how.
        labels: of the training structures, in the unit of the target; NaN = no label.
        training: the structures.

    Returns:
        the deviation of the learned value from what was fitted: the unit of the loss.

    Raises:
        DataError: no training structure has a label.
    """
    _calm(head.network)
    if not any(bool(value.isfinite().any()) for value in labels):
        raise DataError(
            f"none of the {len(labels)} training structures has a label of a target in "
            f"{target.unit}; train on more structures (sizes), or leave the target out"
        )
    if target.classes:
        places = torch.stack(list(labels))
        counts = torch.bincount(places[places.isfinite()].long(), minlength=len(target.classes))
        head.offset.copy_(torch.log((counts + 1.0) / (counts + 1.0).sum()))
        return 1.0
    learned = [head.learned(value) for value in labels]
    n_mean = float(training.n_atoms.mean())
    if target.references:
        values = torch.stack(learned)
        labeled = values.isfinite().numpy()
        counts = composition(training)[labeled]
        extensive = target.pooling == "sum"
        per_atom = values.numpy()[labeled] / (counts.sum(axis=1) if extensive else 1.0)
        fitted = fit_additive(counts, per_atom)
        head.references.copy_(torch.from_numpy(fitted.references))
        scale = fitted.deviation * (n_mean if extensive else 1.0)
    else:
        values = torch.cat([value.reshape(-1) for value in learned])
        values = values[values.isfinite()]
        head.offset.fill_(values.mean())
        scale = float(values.std(correction=0))
    scale = max(scale, SMALLEST_DEVIATION)
    # a sum of independent atoms grows with the root of their number
    per_atom_scale = scale / n_mean**0.5 if target.pooling == "sum" else scale
    head.scale.fill_(per_atom_scale if target.level == "structure" else scale)
    return scale


def _add_energy_head(
    recipe: Recipe,
    mode: Mode,
    model: FoundationModel,
    card: ModelCard,
    training: PackedGraphs,
) -> str:
    """Add the new energy head; the pretrained head that it begins with, or ""."""
    potential = recipe.potential
    if potential is None:
        return ""
    name = potential.head
    reused: str | None = None
    if mode.start == "pretrained" and potential.reuse_head != FRESH:
        reused = potential.reuse_head or choose_head(model, card, training)
    head = model.add_head(name)
    if reused is not None:
        head.load_state_dict(model.head(reused).state_dict())
        if not recipe.adapt.refit_references:
            return reused
    else:
        _calm(head.network)
        energies, forces = training.columns["energy"].numpy(), training.columns["forces"].numpy()
        refit(model, name, training)
        references = head.references.numpy(force=True)
        labeled = np.isfinite(energies)
        head.scale.fill_(
            fit_scale(composition(training)[labeled], energies[labeled], forces, references)
        )
    refit(model, name, training)
    return reused or ""


def _calm(network: nn.Sequential) -> None:
    """Let a fresh network begin close to zero."""
    last = cast(nn.Linear, network[-1])
    with torch.no_grad():
        last.weight.mul_(FRESH_HEAD_SCALE)
        last.bias.zero_()
