"""What a campaign's file may say, and the score."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from atomfm_calc.config import load_config, parse_config
from atomfm_calc.errors import ConfigError
from tests.training.hpo.made import campaign
from training.hpo.campaign import (
    CampaignConfig,
    ObjectiveConfig,
    Parameter,
    default_values,
    score,
    trial_config,
)

CONFIGS = sorted(Path("training/configs/hpo").glob("**/*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_every_campaign_of_the_project_can_be_read_and_makes_its_first_trial(path: Path) -> None:
    config = load_config(CampaignConfig, path)
    made = trial_config(config, default_values(config), Path("somewhere"))
    assert made.output == Path("somewhere")
    assert made.architecture == config.trial.architecture


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"kind": "int", "low": 3, "high": 3}, "low < high"),
        ({"kind": "int", "low": 1.5, "high": 3}, "must be whole"),
        ({"kind": "float", "low": 0, "high": 3, "log": True}, "begins above 0"),
        ({"kind": "choice", "values": ["one"]}, "two values or more"),
        ({"kind": "float", "low": 1, "high": 3, "values": [1]}, "no values"),
    ],
)
def test_a_parameter_that_cannot_be_searched_is_refused(
    content: dict[str, object], text: str
) -> None:
    with pytest.raises(ConfigError, match=text):
        parse_config(Parameter, content, origin="test")


def test_the_trials_own_values_must_lie_in_the_space(tmp_path: Path) -> None:
    space = {"fit.optimizer.learning_rate": {"kind": "float", "low": 0.1, "high": 0.2}}
    with pytest.raises(ConfigError, match=r"learning_rate of the trial is 0\.001, outside"):
        campaign(tmp_path, space=space)


def test_a_parameter_that_is_no_key_of_a_run_is_refused(tmp_path: Path) -> None:
    space = {"fit.optimizer.speed": {"kind": "float", "low": 0.1, "high": 0.2}}
    with pytest.raises(ConfigError, match=r"no key 'fit\.optimizer\.speed'"):
        campaign(tmp_path, space=space)


def test_width_and_number_of_layers_shape_the_heads(tmp_path: Path) -> None:
    space = {
        "head.n_layers": {"kind": "int", "low": 1, "high": 3},
        "head.width": {"kind": "int", "low": 8, "high": 100},
    }
    config = campaign(tmp_path, space=space)
    made = trial_config(config, {"head.n_layers": 3, "head.width": 20}, tmp_path)
    assert made.architecture.head.hidden == (20, 20, 20)


def test_the_score_is_the_mean_of_errors_in_their_units() -> None:
    errors = {
        "a": {"energy_mae_meV_per_atom": 100.0, "forces_mae_meV_per_angstrom": 50.0},
        "b": {"energy_mae_meV_per_atom": 25.0, "forces_mae_meV_per_angstrom": None},
    }
    units = {"energy_unit_meV_per_atom": 50.0, "forces_unit_meV_per_angstrom": 200.0}
    terms = [2.0, 0.25, 0.5]
    mean = score(errors, ObjectiveConfig(rule="mean", **units))
    logarithms = score(errors, ObjectiveConfig(rule="log_mean", **units))
    assert mean == pytest.approx(sum(terms) / 3)
    assert logarithms == pytest.approx(sum(map(math.log, terms)) / 3)


def test_an_error_that_is_no_number_makes_no_score() -> None:
    errors = {"a": {"energy_mae_meV_per_atom": math.nan, "forces_mae_meV_per_angstrom": 1.0}}
    assert math.isnan(score(errors, ObjectiveConfig()))


def test_errors_of_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to compare"):
        score({"a": {"energy_mae_meV_per_atom": None}}, ObjectiveConfig())
