"""Properties of many structures: what the property heads of a fine-tuned model say."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from atomfm_calc.calculators.budget import BatchBudget, Item, compute_in_batches
from atomfm_calc.calculators.checks import check_distances, check_structure
from atomfm_calc.calculators.memory import is_out_of_memory, release
from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.errors import (
    AtomFMError,
    InsufficientMemoryError,
    NonFiniteError,
    SetupError,
    UnsupportedElementError,
    listing,
)
from atomfm_calc.graph import collate
from atomfm_calc.models.precision import matrix_products
from atomfm_calc.neighbors import SkinCache, graph_from_arrays
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import LoadedModel

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class PropertyResult:
    """What property heads say about one structure."""

    values: Mapping[str, float | str | Array]
    """By property: a number or [N] numbers in the unit of the card, or the likeliest class"""
    probabilities: Mapping[str, Mapping[str, float]]
    """By property with classes: class -> probability"""


def iterate_properties(
    loaded: LoadedModel,
    settings: CalculatorSettings,
    structures: Iterable[Atoms],
    properties: Sequence[str],
    budget: BatchBudget,
) -> Iterator[PropertyResult]:
    """Properties of many structures, in their order.

    Args:
        loaded: from `prepare_model` with the same settings.
        settings: `allow_unseen_elements` is heeded; property heads know no charge.
        structures: are not changed.
        properties: names on the card, or "all".
        budget: of one batch.

    Raises:
        UnknownNameError: the model has no such property; lists what there is.
        SetupError: no property is named, or a charge or multiplicity is set.
        AtomFMError: a structure that cannot be computed; names its index.
    """
    names = tuple(loaded.card.properties) if "all" in properties else tuple(properties)
    if not names:
        raise SetupError(
            f"no property is named; {loaded.card.label} predicts {listing(loaded.card.properties)}"
        )
    for name in names:
        loaded.card.property_info(name)
    if settings.charge or (settings.multiplicity or 1) != 1:
        raise SetupError("property heads are for neutral singlets; leave out charge, multiplicity")
    logger.info(
        "%s, properties %s, kernel %s", loaded.card.label, listing(names), loaded.model.kernel
    )
    items = _items(loaded, settings, structures, names)
    return compute_in_batches(items, budget, partial(_compute, loaded, names, settings))


def _items(
    loaded: LoadedModel,
    settings: CalculatorSettings,
    structures: Iterable[Atoms],
    names: Sequence[str],
) -> Iterator[Item]:
    cache = SkinCache(loaded.model.cutoff, skin=0.0)
    for place, atoms in enumerate(structures):
        try:
            check_structure(atoms)
            if not settings.allow_unseen_elements:
                _check_elements(atoms, loaded.card, names)
            cell, pbc = np.array(atoms.cell.array), atoms.get_pbc()
            positions = atoms.get_positions()
            graph = graph_from_arrays(
                atoms.numbers.astype(np.int64),
                positions - positions.mean(axis=0),  # digits of float32, as for energies
                cell,
                pbc,
                cache.edges(positions, cell, pbc),
                charge=0,
                multiplicity=1,
                dtype=loaded.model.dtype,
            )
            check_distances(graph)
        except AtomFMError as error:
            raise type(error)(f"structure {place}: {error}") from error
        yield Item(place, graph)


def _check_elements(atoms: Atoms, card: ModelCard, names: Sequence[str]) -> None:
    symbols = set(atoms.get_chemical_symbols())
    for name in names:
        unseen = sorted(symbols - set(card.property_info(name).elements))
        if unseen:
            raise UnsupportedElementError(
                f"{name} of {card.label} was fitted without {listing(unseen)}; pass "
                "allow_unseen_elements=True to get numbers without basis"
            )


def _compute(
    loaded: LoadedModel, names: Sequence[str], settings: CalculatorSettings, batch: list[Item]
) -> list[PropertyResult]:
    model = loaded.model
    graph = collate([item.graph for item in batch])
    device = next(model.backbone.parameters()).device
    try:
        with torch.no_grad(), matrix_products(device, tf32=settings.products.tf32):
            learned = model.properties(graph.to(device), names)
            found = {name: model.property_head(name).value(learned[name]) for name in names}
        arrays = {name: value.cpu().numpy().astype(np.float64) for name, value in found.items()}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        release(error, device)
        raise InsufficientMemoryError(
            f"{len(graph.atomic_numbers)} atoms do not fit into the memory of {device}"
        ) from error
    ends = np.cumsum(graph.n_atoms.tolist())
    return [
        _result(loaded.card, arrays, index, slice(int(end - graph.n_atoms[index]), int(end)))
        for index, end in enumerate(ends)
    ]


def _result(
    card: ModelCard, arrays: Mapping[str, Array], index: int, atoms: slice
) -> PropertyResult:
    values: dict[str, float | str | Array] = {}
    probabilities: dict[str, dict[str, float]] = {}
    for name, array in arrays.items():
        info = card.property_info(name)
        own = array[atoms] if info.level == "atom" else array[index]
        if not np.isfinite(own).all():
            raise NonFiniteError(f"{name} of {card.label} is not finite; are positions sensible?")
        if info.classes:
            probabilities[name] = dict(zip(info.classes, own.tolist(), strict=True))
            values[name] = info.classes[int(own.argmax())]
        else:
            values[name] = own if info.level == "atom" else float(own)
    return PropertyResult(values=values, probabilities=probabilities)
