"""What a data set must hold before anything is computed; every refusal names the row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from ase.data import chemical_symbols

from atomfm_calc.errors import DataError, UnsupportedElementError, listing
from atomfm_calc.properties import PROPERTIES
from atomfm_calc.sample import Sample, check_sample
from downstream.recipe import Recipe, Target

FEWEST_STRUCTURES = 5
"""Below, there is nothing to train, validate and test on."""


def check_samples(samples: Iterable[Sample], recipe: Recipe) -> list[Sample]:
    """Take samples from a reader, one by one, and refuse what cannot be learned from.

    Args:
        samples: in declared units.
        recipe: declares targets or a potential.

    Raises:
        DataError: a structure that cannot be right; a target without a declared unit; a row without
            any label; a label that is not finite, of a wrong shape, no class, or without a
            logarithm; two rows of one name; too few rows; a target that is the same in all rows.
    """
    kept: list[Sample] = []
    names: set[str] = set()
    declared = tuple(recipe.targets) if recipe.potential is None else recipe.potential.labels
    for sample in samples:
        name = sample.source
        if not name or name in names:
            raise DataError(
                f"row {len(kept)} is called {name!r}, {'as a row before' if name else 'nothing'}; "
                "a reader gives every row a name of its own (Sample.source)"
            )
        names.add(name)
        sample = _neutral(sample, recipe)
        _check_keys(sample, declared)
        if recipe.potential is not None:
            check_sample(sample)
        else:
            check_sample(replace(sample, targets={}))
            for target, value in sample.targets.items():
                _check_value(sample, target, np.asarray(value), recipe.targets[target])
        kept.append(sample)
    if len(kept) < FEWEST_STRUCTURES:
        raise DataError(
            f"{recipe.name} has {len(kept)} structures ({listing(names)}); training, validation "
            f"and test take {FEWEST_STRUCTURES} at least"
        )
    for target in declared:
        _check_variety(kept, target)
    return kept


def check_elements(samples: Sequence[Sample], known: Collection[str], model: str) -> None:
    """Refuse elements that a pretrained model has never seen; their embedding is noise.

    Args:
        samples: to be learned from.
        known: symbols of all elements of its pretraining.
        model: its name.

    Raises:
        UnsupportedElementError: names elements and the first row that has one.
    """
    for sample in samples:
        unseen = sorted(symbols_of(sample) - set(known))
        if unseen:
            raise UnsupportedElementError(
                f"{sample.source} has {listing(unseen)}, which {model} has not seen in "
                f"pretraining; it knows {len(known)} elements. Leave such rows out, choose another "
                "adapt.model, or begin from scratch (--start scratch)"
            )


def symbols_of(sample: Sample) -> set[str]:
    """Its elements."""
    return {chemical_symbols[z] for z in np.unique(sample.atomic_numbers)}


def _neutral(sample: Sample, recipe: Recipe) -> Sample:
    """A head that is told no charge learns from neutral structures, whatever their spin."""
    if recipe.potential is not None and recipe.potential.uses_charge:
        return sample
    if sample.charge:
        raise DataError(
            f"{sample.source} has the charge {sample.charge}, which "
            + (
                "property heads are not told; leave such rows out"
                if recipe.potential is None
                else "the head is not told; set potential.uses_charge to true, or leave it out"
            )
        )
    return replace(sample, multiplicity=1)


def _check_keys(sample: Sample, declared: Collection[str]) -> None:
    unknown = [name for name in sample.targets if name not in declared]
    if unknown:
        raise DataError(
            f"{sample.source} has the targets {listing(unknown)}, for which the recipe declares no "
            f"unit; it declares {listing(declared)}. Add targets.{unknown[0]}.unit to recipe.yaml"
        )
    if not sample.targets:
        raise DataError(
            f"{sample.source} has none of the columns {listing(declared)}; leave the row out, or "
            "name the targets as the file does"
        )


def _check_value(sample: Sample, name: str, value: np.ndarray, target: Target) -> None:
    shape = () if target.level == "structure" else (sample.n_atoms,)
    problem = ""
    if value.shape != shape:
        problem = f"has shape {value.shape}, not {shape}"
    elif not np.isfinite(value).all():
        problem = f"is {'NaN' if np.isnan(value).any() else 'infinite'}; leave a missing label out"
    elif target.classes and float(value) not in range(len(target.classes)):
        problem = f"is {float(value)}, the place of none of the classes {listing(target.classes)}"
    elif target.transform == "log10" and (value <= 0.0).any():
        problem = f"is {value.min()}, which has no logarithm (transform: log10)"
    if problem:
        raise DataError(f"{sample.source}: {name} {problem}")


def _check_variety(samples: Sequence[Sample], name: str) -> None:
    labeled = [sample for sample in samples if name in sample.targets]
    if not labeled:
        raise DataError(
            f"no row has the column {name}; the first, {samples[0].source}, has "
            f"{listing(samples[0].targets)}"
        )
    values = np.concatenate([np.ravel(sample.targets[name]) for sample in labeled])
    if np.ptp(values) == 0.0 and name not in PROPERTIES:
        raise DataError(
            f"{name} is {values[0]} in all {len(labeled)} rows, from {labeled[0].source} to "
            f"{labeled[-1].source}; there is nothing to learn"
        )
