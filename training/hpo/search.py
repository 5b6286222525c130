"""The door to DeepHyper: which values the next trial should have."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from deephyper.hpo import CBO, HpProblem

from training.hpo.campaign import CampaignConfig, Parameter, Value, Values, default_values
from training.hpo.table import Trial

FAILED = "F"
"""DeepHyper's word for a trial without an objective, which it learns to avoid."""
LIES: dict[str, Callable[[Sequence[float]], float]] = {
    "cl_min": max,
    "cl_max": min,
    "cl_mean": fmean,
}
"""What stands for the objective of a trial that still runs, so that the next one is elsewhere. The
names are of minimization: cl_min takes the best one known."""

Objective = float | tuple[float, ...]


def propose(
    campaign: CampaignConfig, ended: Sequence[Trial], running: Sequence[Values], number: int
) -> dict[str, Value]:
    """Values of trial `number`; a function of its arguments alone, so that campaigns can resume.

    The search is built anew for each proposal: fitting some hundred trials takes a second, and
    there is no state that a crash could lose.

    Args:
        campaign: space, search and objective.
        ended: trials that have ended, failures included.
        running: values of the trials that have not.
        number: of the new trial; 0 has the campaign's own values.
    """
    if number == 0:
        return default_values(campaign)
    search = _search(campaign, number)
    told = [(dict(trial.values), objective(campaign, trial)) for trial in ended]
    known = [result for _, result in told if not isinstance(result, str)]
    if number >= campaign.random_trials and known:
        told += [(dict(values), _lie(campaign, known)) for values in running]
        search.tell(told)
    (values,) = search.ask(1)
    return {key: plain(values[key], parameter) for key, parameter in campaign.space.items()}


def objective(campaign: CampaignConfig, trial: Trial) -> Objective | str:
    """What DeepHyper maximizes: minus the score, and minus the logarithm of the cost if wanted."""
    if not trial.has_score or trial.score is None:
        return f"{FAILED}_{trial.status}"
    if not campaign.objective.with_cost:
        return -trial.score
    if trial.cost is None:  # stopped early, nothing was measured
        return f"{FAILED}_{trial.status}"
    return (-trial.score, -math.log(trial.cost))


def problem(campaign: CampaignConfig) -> HpProblem:
    """The search space in DeepHyper's words."""
    made = HpProblem()
    for key, parameter in campaign.space.items():
        if parameter.kind == "choice":
            made.add_hyperparameter(list(parameter.values), key)
            continue
        number = int if parameter.kind == "int" else float
        bounds: tuple[Any, ...] = (number(parameter.low or 0), number(parameter.high or 0))
        made.add_hyperparameter((*bounds, "log-uniform") if parameter.log else bounds, key)
    return made


def plain(value: Any, parameter: Parameter) -> Value:
    """A value as Python's own type; NumPy's would not go into a configuration."""
    if parameter.kind == "choice":
        return next(known for known in parameter.values if known == value)
    return int(value) if parameter.kind == "int" else float(value)


def _search(campaign: CampaignConfig, number: int) -> CBO:
    several = {"moo_scalarization_strategy": "Chebyshev"} if campaign.objective.with_cost else {}
    return CBO(
        problem(campaign),
        random_state=campaign.seed + number,
        log_dir=tempfile.gettempdir(),
        checkpoint_history_to_csv=False,
        acq_func=campaign.acquisition,
        acq_optimizer="sampling",  # spaces of ten parameters; the genetic one takes minutes
        multi_point_strategy=campaign.multi_point,
        n_initial_points=campaign.random_trials,
        **several,
    )


def _lie(campaign: CampaignConfig, known: Sequence[Objective]) -> Objective:
    choose = LIES[campaign.multi_point]
    columns = [one if isinstance(one, tuple) else (one,) for one in known]
    lies = tuple(choose(column) for column in zip(*columns, strict=True))
    return lies if campaign.objective.with_cost else lies[0]
