"""Proposals of DeepHyper."""

from __future__ import annotations

from pathlib import Path

from tests.training.hpo.made import campaign
from training.hpo.search import objective, propose
from training.hpo.table import Trial

KEY = "fit.optimizer.learning_rate"


def _trial(number: int, rate: float, score: float | None) -> Trial:
    status = "crashed" if score is None else "finished"
    result = {"microseconds_per_atom": 2.0}
    return Trial(
        number=number, values={KEY: rate}, status=status, score=score, seconds=1, result=result
    )


def test_the_first_trial_has_the_campaigns_own_values(tmp_path: Path) -> None:
    assert propose(campaign(tmp_path), [], [], 0) == {KEY: 0.001}


def test_proposals_lie_in_the_space_and_differ(tmp_path: Path) -> None:
    config = campaign(tmp_path, random_trials=6)
    rates = [propose(config, [], [], number)[KEY] for number in range(1, 6)]
    assert all(1e-5 <= rate <= 1e-1 for rate in rates)
    assert len(set(rates)) == 5


def test_the_same_table_makes_the_same_proposal(tmp_path: Path) -> None:
    config = campaign(tmp_path)
    table = [_trial(0, 0.001, 1.0), _trial(1, 0.01, 2.0), _trial(2, 1e-4, None)]
    running = [{KEY: 0.003}]
    first, second = (propose(config, table, running, 4) for _ in range(2))
    assert first == second
    assert type(first[KEY]) is float


def test_the_search_learns_where_scores_are_good(tmp_path: Path) -> None:
    config = campaign(tmp_path, random_trials=3)
    rates = [10 ** (-5 + 0.25 * step) for step in range(16)]
    table = [_trial(i, rate, abs(i - 3.0)) for i, rate in enumerate(rates)]  # best: 10^-4.25
    proposals = [propose(config, table, [], number)[KEY] for number in range(16, 22)]
    assert sum(1e-5 < rate < 3e-4 for rate in proposals) >= 4


def test_failures_are_told_as_failures(tmp_path: Path) -> None:
    config = campaign(tmp_path)
    assert objective(config, _trial(0, 0.1, None)) == "F_crashed"
    assert objective(config, _trial(0, 0.1, 2.5)) == -2.5


def test_with_cost_there_are_two_objectives_and_proposals_for_them(tmp_path: Path) -> None:
    config = campaign(tmp_path, objective={"with_cost": True})
    table = [_trial(i, 10.0 ** (-5 + i), float(i)) for i in range(4)]
    assert objective(config, table[1]) == (-1.0, -0.6931471805599453)  # ln 2
    assert 1e-5 <= propose(config, table, [{KEY: 0.01}], 4)[KEY] <= 0.1
