"""Training and test structures of a fold, by the names that the recipe's reader gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError, listing, lookup
from atomfm_calc.sample import Sample, composition_key
from downstream.recipe import Split
from training.datasets.splits import split_by_group

FEWEST_FOR_VALIDATION = 2


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One division, as `Sample.source` names."""

    name: str
    """"fold 0", or what the source calls it."""
    train: frozenset[str]
    """Trained and validated on."""
    test: frozenset[str]
    """Held out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Places of the structures of one training in the list of samples."""

    train: NDArray[np.int64]
    """Weights are fitted to these."""
    validation: NDArray[np.int64]
    """Choose when to stop."""
    test: NDArray[np.int64]
    """Held out."""


def make_folds(samples: Sequence[Sample], split: Split) -> tuple[Fold, ...]:
    """Divide as the recipe says; "published" as k-fold, for data that its folds do not know.

    Args:
        samples: all, each with a name of its own.
        split: how.
    """
    return lookup(DIVISIONS, split.by, "split")(samples, split)


def check_folds(folds: Sequence[Fold], samples: Sequence[Sample]) -> None:
    """Refuse folds that are not of these samples.

    A fold may use some of the samples only: those of rMD17 take other frames each.

    Raises:
        DataError: a fold names a structure that the data lacks, or has one on both sides; names
            fold and structure.
    """
    known = {sample.source for sample in samples}
    for fold in folds:
        for what, names in (
            ("names {}, which the data does not have", (fold.train | fold.test) - known),
            ("has {} for training and for test", fold.train & fold.test),
        ):
            if names:
                some = listing(sorted(names)[:3])
                more = f" and {len(names) - 3} more" if len(names) > 3 else ""
                raise DataError(
                    f"{fold.name} {what.format(some + more)}. The folds are those of another "
                    "version of the data; get both from the same place"
                )


def choose(samples: Sequence[Sample], fold: Fold, split: Split, size: int, seed: int) -> Parts:
    """The structures of one training: a random part of a fold, larger ones contain smaller ones.

    Args:
        samples: all.
        fold: which of them may be used for what.
        split: validation and test.
        size: training structures, validation included; more than there are: all.
        seed: another one takes other training structures, and the same test structures.

    Raises:
        DataError: fewer than four training structures, or no test structures.
    """
    train = np.array([i for i, sample in enumerate(samples) if sample.source in fold.train])
    test = np.array([i for i, sample in enumerate(samples) if sample.source in fold.test])
    if min(len(train), size) < 2 * FEWEST_FOR_VALIDATION or len(test) == 0:
        raise DataError(
            f"{fold.name} has {len(train)} structures to train on, of which {size} are asked for, "
            f"and {len(test)} to test on; {2 * FEWEST_FOR_VALIDATION} and 1 are needed"
        )
    if split.max_test is not None:
        test = np.random.default_rng(split.seed).permutation(test)[: split.max_test]
    chosen = np.random.default_rng([seed, 17]).permutation(train)[:size]
    n_validation = max(FEWEST_FOR_VALIDATION, round(split.validation_fraction * len(chosen)))
    # the last of a prefix: the training part of a larger size contains that of a smaller one
    return Parts(
        train=np.sort(chosen[:-n_validation]),
        validation=np.sort(chosen[-n_validation:]),
        test=np.sort(test),
    )


def _by_key(samples: Sequence[Sample], split: Split) -> tuple[Fold, ...]:
    fractions = {"train": 1.0 - split.test_fraction, "test": split.test_fraction}
    test = split_by_group(samples, fractions, split.seed)["test"]
    if not 0 < len(test) < len(samples):  # of few keys, chance may leave none on one side
        keys = [sample.group or composition_key(sample) for sample in samples]
        names = sorted(set(keys))
        held_out = names[split.seed % len(names)]
        test = [place for place, key in enumerate(keys) if key == held_out]
    return (_fold(f"by {split.by}", samples, test),)


def _by_composition(samples: Sequence[Sample], split: Split) -> tuple[Fold, ...]:
    return _by_key([replace(sample, group="") for sample in samples], split)


def _random(samples: Sequence[Sample], split: Split) -> tuple[Fold, ...]:
    order = np.random.default_rng(split.seed).permutation(len(samples))
    return (_fold("random", samples, order[: max(1, round(split.test_fraction * len(order)))]),)


def _k_fold(samples: Sequence[Sample], split: Split) -> tuple[Fold, ...]:
    order = np.random.default_rng(split.seed).permutation(len(samples))
    parts = np.array_split(order, split.n_folds)
    return tuple(_fold(f"fold {k}", samples, part) for k, part in enumerate(parts))


def _fold(name: str, samples: Sequence[Sample], test: Sequence[int] | NDArray[np.int64]) -> Fold:
    held_out = frozenset(samples[int(place)].source for place in test)
    everything = frozenset(sample.source for sample in samples)
    return Fold(name=name, train=everything - held_out, test=held_out)


DIVISIONS: dict[str, Callable[[Sequence[Sample], Split], tuple[Fold, ...]]] = {
    "random": _random,
    "composition": _by_composition,
    "group": _by_key,
    "k-fold": _k_fold,
    "published": _k_fold,
}
"""How structures are held out, by the word in a recipe."""
