"""Batches keep their budget, draw every structure, and go on where they stopped."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from atomfm_calc.errors import DataError, UnknownNameError
from training.config import BatchLimits
from training.data.batching import MixedSampler, Stream, check_sizes, fixed_batches
from training.data.mixing import capped, weights
from training.data.permutation import permute

LIMITS = BatchLimits(max_atoms=30, max_edges=100, max_structures=8)
N_ATOMS = np.array([3, 9, 1, 12, 5, 7, 2, 4, 8, 6, 10, 11])
SIZES = (N_ATOMS, 3 * N_ATOMS)
INDEX = {"small": np.arange(4), "large": np.arange(4, 12)}
EQUAL = {"small": 0.5, "large": 0.5}


def _sampler(seed: int = 0) -> MixedSampler:
    return MixedSampler(INDEX, EQUAL, SIZES, LIMITS, seed)


def test_no_batch_exceeds_its_budget() -> None:
    sampler = _sampler()
    for _ in range(50):
        batch = sampler.next_batch()
        assert 0 < len(batch) <= LIMITS.max_structures
        assert N_ATOMS[batch].sum() <= LIMITS.max_atoms
        assert 3 * N_ATOMS[batch].sum() <= LIMITS.max_edges


def test_every_structure_of_a_head_is_drawn_once_before_any_is_drawn_again() -> None:
    sampler = _sampler()
    drawn = np.concatenate([sampler.next_batch() for _ in range(60)])
    for index in INDEX.values():
        own = drawn[np.isin(drawn, index)]
        passes = len(own) // len(index)
        assert passes > 3
        for number in range(passes):
            part = own[number * len(index) : (number + 1) * len(index)]
            assert sorted(part) == sorted(index)


def test_samples_seen_counts_what_was_handed_out() -> None:
    sampler = _sampler()
    drawn = Counter(int(i) for _ in range(20) for i in sampler.next_batch())
    for name, index in INDEX.items():
        assert sampler.samples_seen[name] == sum(drawn[int(i)] for i in index)


def test_a_saved_position_goes_on_with_the_same_batches() -> None:
    sampler, other = _sampler(), _sampler()
    for _ in range(7):
        sampler.next_batch()
    other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    for _ in range(30):
        assert sampler.next_batch().tolist() == other.next_batch().tolist()


def test_another_seed_draws_otherwise() -> None:
    assert _sampler(0).next_batch().tolist() != _sampler(1).next_batch().tolist()


def test_a_structure_that_is_too_large_is_refused_at_the_start() -> None:
    tight = BatchLimits(max_atoms=11, max_edges=100, max_structures=8)
    with pytest.raises(DataError, match=r"12 atoms or 36 edges.*batch\.max_atoms"):
        check_sizes("small", *(sizes[INDEX["small"]] for sizes in SIZES), tight)


def test_streams_share_every_pass_without_meeting() -> None:
    streams = [
        MixedSampler({"large": INDEX["large"]}, {"large": 1.0}, SIZES, LIMITS, 0, Stream(w, w, 3))
        for w in range(3)
    ]
    order = [[int(i) for _ in range(40) for i in stream.next_batch()][:24] for stream in streams]
    drawn = [order[w][k] for k in range(24) for w in range(3)]  # place 3 k + w of the orders
    for number in range(9):
        assert sorted(drawn[8 * number : 8 * (number + 1)]) == list(range(4, 12))


@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000])
def test_a_shuffled_order_holds_every_number_once(n: int) -> None:
    orders = [permute(np.arange(n), n, key).tolist() for key in (0, 1, 2**63)]
    assert all(sorted(order) == list(range(n)) for order in orders)
    assert n < 17 or orders[0] != orders[1]


def test_the_places_of_a_shuffled_order_do_not_depend_on_what_else_is_asked() -> None:
    whole = permute(np.arange(1000), 1000, 5)
    places = np.array([999, 0, 123])
    assert permute(places, 1000, 5).tolist() == whole[places].tolist()


def test_fixed_batches_keep_the_order_and_lose_nothing() -> None:
    batches = fixed_batches(np.arange(12), SIZES, LIMITS)
    assert np.concatenate(batches).tolist() == list(range(12))
    assert all(N_ATOMS[batch].sum() <= LIMITS.max_atoms for batch in batches)


def test_mixing_rules_lie_between_proportional_and_equal() -> None:
    sizes = {"a": 900, "b": 100}
    assert weights(sizes, "proportional") == pytest.approx({"a": 0.9, "b": 0.1})
    assert weights(sizes, "equal") == pytest.approx({"a": 0.5, "b": 0.5})
    # square roots: 30 and 10
    assert weights(sizes, "temperature", 2.0) == pytest.approx({"a": 0.75, "b": 0.25})


def test_a_factor_multiplies_the_draws_of_a_head() -> None:
    sizes = {"a": 100, "b": 100}
    assert weights(sizes, "equal", factors={"b": 3.0}) == pytest.approx({"a": 0.25, "b": 0.75})
    with pytest.raises(UnknownNameError, match="no head 'c'"):
        weights(sizes, "equal", factors={"c": 3.0})


def test_the_explicit_rule_follows_the_factors_and_needs_all_of_them() -> None:
    sizes = {"a": 900, "b": 100}
    assert weights(sizes, "explicit", factors={"a": 1.0, "b": 3.0}) == {"a": 0.25, "b": 0.75}
    with pytest.raises(DataError, match="needs a factor for b too"):
        weights(sizes, "explicit", factors={"a": 1.0})


def test_a_cap_gives_the_draws_of_a_small_head_to_the_others() -> None:
    sizes = {"a": 1000, "b": 100, "c": 10}
    third = dict.fromkeys(sizes, 1.0 / 3.0)
    # 300 draws: c may have 2 * 10 = 20 of them, a and b share the other 280
    limited = capped(third, sizes, n_samples=300, max_passes=2.0)
    assert limited == pytest.approx({"a": 140 / 300, "b": 140 / 300, "c": 20 / 300})
    assert capped(third, sizes, n_samples=30, max_passes=2.0) == pytest.approx(third)
    with pytest.raises(DataError, match="more than 2.0 passes"):
        capped(third, sizes, n_samples=3000, max_passes=2.0)
