"""The structures of a recipe, checked and divided, whichever files they come from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atomfm_calc.errors import DataError, listing
from atomfm_calc.sample import Sample
from downstream.catalog import FoundRecipe
from downstream.labels import check_samples
from downstream.splits import Fold, check_folds, make_folds

logger = logging.getLogger(__name__)

DATA_FOLDER = Path("work/downstream")
"""Where `prepare` puts and `run` looks for public files, one folder per recipe."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RecipeData:
    """Samples and folds."""

    samples: list[Sample]
    """All, checked."""
    folds: tuple[Fold, ...]
    """One, or those of the source."""
    name: str
    """How every table names it: the public data, or the stand-in by its own words."""
    is_stand_in: bool
    """Whether these are not the public data."""
    fingerprint: str
    """Changes with any structure or label."""


def read_data(found: FoundRecipe, folder: Path | None) -> RecipeData:
    """Read the public files of a recipe; without any, its stand-in.

    Args:
        found: the recipe.
        folder: of the public files, or a user's file; None: that of `data_folder`.

    Raises:
        DataError: `folder` lacks files, there is neither public data nor a stand-in, or the data
            cannot be learned from.
    """
    recipe, place = found.recipe, data_folder(found, folder)
    missing = missing_files(found, place)
    if folder is not None and missing and found.own_path is None:
        raise DataError(
            f"{folder} lacks {listing(missing)}; `python -m downstream prepare {recipe.name}` "
            "says how to get them"
        )
    if not missing:
        samples = check_samples(found.read(place), recipe)
        if recipe.split.by == "published" and found.read_folds is not None:
            folds = found.read_folds(place, samples)
            check_folds(folds, samples)
        else:
            folds = make_folds(samples, recipe.split)
        return _data(samples, folds, recipe.title, is_stand_in=False)
    if found.own_path is not None:
        raise DataError(
            f"there is no file or folder {place}; set own.path in the recipe.yaml of "
            f"{recipe.name}, or give --data"
        )
    if found.read_stand_in is None:
        raise DataError(f"{recipe.name} has no stand-in, and {place} lacks {listing(missing)}")
    logger.info("%s: the public files are not in %s; using the stand-in", recipe.name, place)
    samples = check_samples(found.read_stand_in(), recipe)
    said = "stand-in" in found.stand_in
    name = found.stand_in if said else f"{found.stand_in} (stand-in)"
    return _data(samples, make_folds(samples, recipe.split), name, is_stand_in=True)


def data_folder(found: FoundRecipe, folder: Path | None) -> Path:
    """Where the files of a recipe are expected."""
    return folder or found.own_path or DATA_FOLDER / found.recipe.name


def missing_files(found: FoundRecipe, place: Path) -> list[str]:
    """Names of the files that are not there."""
    if found.own_path is not None:
        return [] if place.exists() else [str(place)]
    return [file.name for file in found.recipe.source.files if not any(place.glob(file.name))]


def _data(
    samples: list[Sample], folds: tuple[Fold, ...], name: str, *, is_stand_in: bool
) -> RecipeData:
    return RecipeData(
        samples=samples,
        folds=folds,
        name=name,
        is_stand_in=is_stand_in,
        fingerprint=_fingerprint(samples),
    )


def _fingerprint(samples: Sequence[Sample]) -> str:
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.source.encode())
        for array in (sample.atomic_numbers, sample.positions, sample.cell):
            digest.update(np.ascontiguousarray(array).tobytes())
        for name in sorted(sample.targets):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(sample.targets[name]).tobytes())
    return digest.hexdigest()[:16]
