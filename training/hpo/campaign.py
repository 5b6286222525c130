"""The configuration of a campaign: one YAML file, read into `CampaignConfig`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, config_to_dict, parse_config
from atomfm_calc.errors import ConfigError
from training.config import PretrainConfig

Value = int | float | str | bool
"""What a parameter can be."""
Values = Mapping[str, Value]
"""Key of the configuration ("architecture.painn.n_layers") -> value."""
HEAD_LAYERS, HEAD_WIDTH = "head.n_layers", "head.width"
"""Keys that together say `architecture.head.hidden`: so many hidden layers of one width."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Parameter:
    """What a parameter of the search may be: an interval, or one of some values."""

    kind: Literal["int", "float", "choice"]
    """Whole numbers or real numbers of an interval, or `values`."""
    low: float | None = None
    """Smallest value of an interval."""
    high: float | None = None
    """Largest value of an interval."""
    log: bool = False
    """Search the logarithm: for learning rates and widths over decades."""
    values: tuple[Value, ...] = ()
    """Of a choice."""

    def __post_init__(self) -> None:
        if self.kind == "choice":
            if len(self.values) < 2 or self.low is not None or self.high is not None or self.log:
                raise ConfigError(
                    f"a choice has two values or more and no low, high or log; got {self}"
                )
            return
        if self.low is None or self.high is None or not self.low < self.high or self.values:
            raise ConfigError(f"an interval has low < high and no values; got {self}")
        if self.log and self.low <= 0:
            raise ConfigError(f"low is {self.low}; an interval that is searched in its logarithm "
                              "begins above 0")  # fmt: skip
        if self.kind == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ConfigError(f"low {self.low} and high {self.high} of an int must be whole")

    def admits(self, value: Value) -> bool:
        """Whether a trial may have this value."""
        if self.kind == "choice":
            return value in self.values
        if isinstance(value, str) or self.low is None or self.high is None:
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ObjectiveConfig:
    """How the validation errors of a trial become one number, the score: smaller is better."""

    rule: Literal["mean", "log_mean"] = "log_mean"
    """Key of `RULES`: the mean over heads and properties of error / unit, or of its logarithm, in
    which halving any error counts the same."""
    energy_unit_meV_per_atom: float = 50.0
    """Of the mean absolute error of the energy per atom."""
    forces_unit_meV_per_angstrom: float = 200.0
    """Of the mean absolute error of a force component."""
    with_cost: bool = False
    """Search for small inference cost too (the logarithm of µs per atom): a Pareto front."""
    validation_structures_per_head: int | None = 100
    """At most; None: all."""

    def __post_init__(self) -> None:
        if min(self.energy_unit_meV_per_atom, self.forces_unit_meV_per_angstrom) <= 0.0:
            raise ConfigError("units of the objective must be above 0")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class LimitsConfig:
    """When a trial is ended from outside."""

    max_minutes: float = 30.0
    """Wall clock of a trial, start and evaluation included."""
    max_memory_GiB: float | None = None
    """Resident memory of a trial and its children on this machine; None: no limit."""
    stop_after_fraction: float | None = 0.4
    """From this part of its training on, a trial whose best validation score is worse than the
    median of the others' at the same part is ended; None: trials run to their end."""
    stop_after_trials: int = 5
    """Finished trials that the median needs."""

    def __post_init__(self) -> None:
        if self.max_minutes <= 0:
            raise ConfigError(f"max_minutes is {self.max_minutes}; give more than 0")
        if self.stop_after_fraction is not None and not 0 < self.stop_after_fraction < 1:
            raise ConfigError(
                f"stop_after_fraction is {self.stop_after_fraction}; give a number between 0 and 1"
            )


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class EvaluatorConfig:
    """Where trials run."""

    kind: Literal["serial", "process", "nodes"] = "serial"
    """Key of `EVALUATORS`: one after the other; several processes on this machine; each trial on
    nodes of its own, of those the scheduler has given to the job."""
    workers: int = 1
    """Trials at a time, for process."""
    nodes_per_trial: int = 1
    """For nodes."""
    launch: str = ""
    """For nodes: the command in front of a trial's, with {nodes} for their comma-separated names,
    {n_nodes} for their number and {first} for the first, such as
    "srun --nodes={n_nodes} --nodelist={nodes} --ntasks-per-node=8 --gpus-per-task=1"."""

    def __post_init__(self) -> None:
        if self.workers < 1 or self.nodes_per_trial < 1:
            raise ConfigError("workers and nodes_per_trial must be at least 1")
        if self.kind == "serial" and self.workers > 1:
            raise ConfigError(f"serial has one worker, not {self.workers}; use kind: process")
        if self.kind == "nodes" and "{nodes}" not in self.launch:
            raise ConfigError("evaluator.launch must name {nodes} when trials run on nodes")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class CampaignConfig:
    """One campaign."""

    output: Path
    """Folder of the table of trials and of the trials."""
    space: dict[str, Parameter]
    """Key of the trial's configuration -> what it may be."""
    trial: PretrainConfig
    """The run that is varied; its own values make the first trial. Its `output` is not used."""
    max_trials: int = 30
    """Trials in all, of all parts of an interrupted campaign, failed ones included."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is minimized."""
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    """When a trial is ended."""
    evaluator: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    """Where trials run."""
    acquisition: Literal["UCB", "EI", "PI"] = "UCB"
    """How DeepHyper weighs what is known against what is not."""
    multi_point: Literal["cl_min", "cl_max", "cl_mean"] = "cl_min"
    """The constant that stands for a trial that still runs."""
    random_trials: int = 8
    """Trials at random before the search begins to learn, the first one included."""
    seed: int = 42
    """Of the search; the trials have their own."""
    keep_runs: int = 3
    """Best trials whose checkpoints are kept."""

    def __post_init__(self) -> None:
        if not self.space:
            raise ConfigError("the search space is empty; name at least one parameter")
        if self.max_trials < 1 or self.random_trials < 1 or self.keep_runs < 1:
            raise ConfigError("max_trials, random_trials and keep_runs must be at least 1")
        for key, parameter in self.space.items():
            value = value_of(self.trial, key)
            if not parameter.admits(value):
                raise ConfigError(
                    f"{key} of the trial is {value!r}, outside its own search space {parameter}; "
                    "the first trial has the trial's own values"
                )


def value_of(config: PretrainConfig, key: str) -> Value:
    """The value of a dotted key; an element of a list by its number.

    Raises:
        ConfigError: there is no such key, or it is a section.
    """
    hidden = config.architecture.head.hidden
    if key in (HEAD_LAYERS, HEAD_WIDTH):
        return len(hidden) if key == HEAD_LAYERS else hidden[0]
    inner: Any = config_to_dict(config)
    for part in key.split("."):
        try:
            inner = inner[int(part)] if isinstance(inner, list) else inner[part]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ConfigError(f"the trial's configuration has no key {key!r}") from error
    if not isinstance(inner, int | float | str | bool) or inner is None:
        raise ConfigError(f"{key!r} is {inner!r}; a parameter is a number, a word or a truth value")
    return inner


def trial_config(campaign: CampaignConfig, values: Values, output: Path) -> PretrainConfig:
    """The run of a trial.

    Args:
        campaign: whose `trial` is varied.
        values: of the parameters.
        output: its run folder.

    Raises:
        ConfigError: the values do not make a configuration, such as a width of 0.
    """
    content = config_to_dict(campaign.trial)
    content["output"] = str(output)
    hidden = campaign.trial.architecture.head.hidden
    width = values.get(HEAD_WIDTH, hidden[0])
    if {HEAD_WIDTH, HEAD_LAYERS} & set(values):
        layers = [width] * int(values.get(HEAD_LAYERS, len(hidden)))
        content["architecture"]["head"]["hidden"] = layers
    for key, value in values.items():
        if key in (HEAD_LAYERS, HEAD_WIDTH):
            continue
        *sections, last = key.split(".")
        target: Any = content
        for section in sections:
            target = target[int(section)] if isinstance(target, list) else target[section]
        if isinstance(target, list):
            target[int(last)] = value
        else:
            target[last] = value
    return parse_config(PretrainConfig, content, origin="trial")


def default_values(campaign: CampaignConfig) -> dict[str, Value]:
    """The trial's own values of the parameters."""
    return {key: value_of(campaign.trial, key) for key in campaign.space}


def mean_score(terms: list[float]) -> float:
    """The mean of errors in their units."""
    return sum(terms) / len(terms)


def log_mean_score(terms: list[float]) -> float:
    """The mean of the logarithms of errors in their units."""
    return sum(math.log(max(term, 1e-12)) for term in terms) / len(terms)


RULES = {"mean": mean_score, "log_mean": log_mean_score}
"""Errors in units of the objective -> score."""


def score(errors: Mapping[str, Mapping[str, float | None]], objective: ObjectiveConfig) -> float:
    """The score of validation errors; smaller is better, NaN if an error is not a number.

    Args:
        errors: head -> the fields of `SplitErrors`.
        objective: rule and units.

    Raises:
        ConfigError: no head has an error of energy or forces.
    """
    units = {
        "energy_mae_meV_per_atom": objective.energy_unit_meV_per_atom,
        "forces_mae_meV_per_angstrom": objective.forces_unit_meV_per_angstrom,
    }
    terms = [
        error / units[name]
        for of_head in errors.values()
        for name, error in of_head.items()
        if name in units and error is not None
    ]
    if not terms:
        raise ConfigError("no head has validation errors of energies or forces; nothing to compare")
    if not all(math.isfinite(term) for term in terms):
        return math.nan
    return RULES[objective.rule](terms)
