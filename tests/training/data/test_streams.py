"""Streams are planned by head groups, and shared by ranks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from atomfm_calc.errors import ConfigError, DataError
from training.config import BatchLimits, ParallelConfig
from training.data.streams import (
    make_sampler,
    one_group_per_head,
    plan_streams,
    ranks_of_heads,
    streams_of_rank,
)

SHARES = {"a": 0.6, "b": 0.3, "c": 0.1}
LIMITS = BatchLimits(max_atoms=10, max_edges=100, max_structures=4)
SIZES = (np.full(30, 2), np.full(30, 2))
MEMBERS = {"a": np.arange(20), "b": np.arange(20, 27), "c": np.arange(27, 30)}


def test_without_groups_every_stream_draws_from_all_heads() -> None:
    plans = plan_streams(SHARES, 3)
    assert [plan.heads for plan in plans] == [pytest.approx(SHARES)] * 3
    assert [plan.stream for plan in plans] == [(0, 0, 3), (1, 1, 3), (2, 2, 3)]


def test_groups_get_streams_in_proportion_and_at_least_one() -> None:
    plans = plan_streams(SHARES, 10, (("a",), ("b",), ("c",)))
    assert [list(plan.heads) for plan in plans].count(["a"]) == 6
    assert [list(plan.heads) for plan in plans].count(["b"]) == 3
    few = plan_streams(SHARES, 3, (("a",), ("b",), ("c",)))
    assert [list(plan.heads) for plan in few] == [["a"], ["b"], ["c"]]


def test_the_smallest_heads_are_joined_when_streams_are_few() -> None:
    assert one_group_per_head(SHARES, 5) == (("a",), ("b",), ("c",))
    assert one_group_per_head(SHARES, 2) == (("a",), ("b", "c"))
    assert one_group_per_head(SHARES, 1) == (("a", "b", "c"),)


def test_more_groups_than_batches_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"3 head groups.*there are 2.*batches_per_step"):
        plan_streams(SHARES, 2, (("a",), ("b",), ("c",)))


def test_groups_must_name_every_head_once() -> None:
    with pytest.raises(ConfigError, match="name every head once; they name a, b, b"):
        plan_streams(SHARES, 4, (("a", "b"), ("b",)))


def test_ranks_share_streams_evenly_or_not_at_all() -> None:
    assert [list(streams_of_rank(4, rank, 2)) for rank in (0, 1)] == [[0, 1], [2, 3]]
    with pytest.raises(ConfigError, match="3 ranks cannot share 4 batches"):
        ParallelConfig(strategy="ddp", batches_per_step=4).check_world_size(3)


def test_a_head_belongs_to_the_ranks_that_draw_from_it() -> None:
    plans = plan_streams(SHARES, 4, (("a",), ("b",), ("c",)))  # a a b c
    assert ranks_of_heads(plans, 4) == {"a": (0, 1), "b": (2,), "c": (3,)}
    assert ranks_of_heads(plans, 2) == {"a": (0,), "b": (1,), "c": (1,)}


def test_two_ranks_draw_what_one_draws_alone() -> None:
    plans = plan_streams(SHARES, 4, (("a",), ("b", "c")))
    alone = make_sampler(plans, MEMBERS, SIZES, LIMITS, seed=1)
    parts = [
        make_sampler([plans[i] for i in streams_of_rank(4, rank, 2)], MEMBERS, SIZES, LIMITS, 1)
        for rank in (0, 1)
    ]
    for _ in range(5):
        together = [alone.next_batch().tolist() for _ in range(4)]
        assert together == [part.next_batch().tolist() for part in parts for _ in range(2)]
    states = parts[0].state_dict() | parts[1].state_dict()
    assert json.loads(json.dumps(states)) == json.loads(json.dumps(alone.state_dict()))


def test_a_head_without_structures_is_named() -> None:
    empty = {**MEMBERS, "c": np.zeros(0, dtype=np.int64)}
    with pytest.raises(DataError, match="head 'c' has no structures"):
        make_sampler(plan_streams(SHARES, 1), empty, SIZES, LIMITS, seed=0)
