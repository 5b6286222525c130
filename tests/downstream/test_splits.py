"""Divisions: disjoint, complete, and the same whatever the size and seed of a training."""

from __future__ import annotations

import numpy as np
import pytest

from atomfm_calc.errors import DataError
from atomfm_calc.sample import composition_key
from downstream.recipe import Split
from downstream.splits import DIVISIONS, choose, make_folds
from tests.made.fine_tuning import dimer

SAMPLES = [dimer(number, partner=7 + number % 3) for number in range(60)]


@pytest.mark.parametrize("by", DIVISIONS)
def test_every_structure_is_on_one_side_of_every_fold(by: str) -> None:
    for fold in make_folds(SAMPLES, Split(by=by)):
        assert not fold.train & fold.test
        assert fold.train | fold.test == {sample.source for sample in SAMPLES}


def test_the_folds_test_every_structure_once() -> None:
    folds = make_folds(SAMPLES, Split(by="k-fold", n_folds=4))
    tested = [name for fold in folds for name in fold.test]
    assert sorted(tested) == sorted(sample.source for sample in SAMPLES)


def test_no_composition_stands_on_both_sides() -> None:
    (fold,) = make_folds(SAMPLES, Split(by="composition", test_fraction=0.4))
    sides = [
        {composition_key(sample) for sample in SAMPLES if sample.source in names}
        for names in (fold.train, fold.test)
    ]
    assert not sides[0] & sides[1]


def test_a_larger_training_set_contains_the_smaller_one() -> None:
    split = Split(by="random")
    (fold,) = make_folds(SAMPLES, split)
    small, large = (choose(SAMPLES, fold, split, size, seed=3) for size in (10, 30))
    assert set(small.train) <= set(large.train)
    assert np.array_equal(small.test, large.test)


def test_another_seed_trains_on_others_and_tests_on_the_same() -> None:
    split = Split(by="random", max_test=5)
    (fold,) = make_folds(SAMPLES, split)
    one, other = (choose(SAMPLES, fold, split, 20, seed) for seed in (0, 1))
    assert set(one.train) != set(other.train)
    assert np.array_equal(one.test, other.test)
    assert len(one.test) == 5


def test_parts_do_not_overlap() -> None:
    split = Split(by="random")
    (fold,) = make_folds(SAMPLES, split)
    parts = choose(SAMPLES, fold, split, 20, seed=0)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert len(set(together)) == len(together)
    assert len(parts.train) + len(parts.validation) == 20


def test_too_few_structures_are_told_with_their_number() -> None:
    split = Split(by="random")
    (fold,) = make_folds(SAMPLES[:10], split)
    with pytest.raises(DataError, match="has 8 structures to train on, of which 3 are asked for"):
        choose(SAMPLES[:10], fold, split, 3, seed=0)


@pytest.mark.parametrize("seed", range(4))
def test_of_two_compositions_one_is_held_out(seed: int) -> None:
    samples = [dimer(number, partner=(7, 8)[number % 2]) for number in range(12)]
    (fold,) = make_folds(samples, Split(by="composition", seed=seed))
    assert len(fold.train) == len(fold.test) == 6
