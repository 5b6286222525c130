"""Campaigns of trials that fail in every way, are killed, and go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from atomfm_calc.config import dump_config, load_config
from atomfm_calc.errors import ConfigError
from tests.training.hpo.made import campaign
from training.config import PretrainConfig
from training.hpo.promote import promote
from training.hpo.report import write_report
from training.hpo.run import resume_campaign, start_campaign
from training.hpo.table import best_trials, pareto_front, read_table

NODES = ("one",)


def test_a_campaign_goes_on_whatever_its_trials_do(tmp_path: Path) -> None:
    behaviors = {1: "crash", 2: "hang", 3: "eat", 4: "nan", 5: "explode"}
    config = campaign(tmp_path, behaviors, max_trials=7, random_trials=7)
    trials = {trial.number: trial for trial in start_campaign(config, ("one", "two"))}
    told = {number: trial.status for number, trial in trials.items()}
    failed = {1: "crashed", 2: "time", 3: "memory", 4: "not_finite", 5: "not_finite"}
    assert told == {0: "finished", **failed, 6: "finished"}
    assert "the node caught fire" in trials[1].result["reason"]
    assert trials[5].result["reason"] == "step 3"
    assert read_table(config.output) == list(trials.values())


def test_a_hopeless_trial_is_stopped_by_its_learning_curve(tmp_path: Path) -> None:
    limits = {"max_minutes": 1.0, "stop_after_fraction": 0.4, "stop_after_trials": 2}
    config = campaign(tmp_path, {3: "hopeless"}, limits=limits, random_trials=4)
    trials = start_campaign(config, NODES)
    assert [trial.status for trial in trials] == ["finished"] * 3 + ["stopped"]
    assert trials[3].score is not None
    assert trials[3].result["fraction"] == 0.5
    assert trials[3] not in best_trials(trials)


@pytest.mark.slow
def test_a_killed_campaign_goes_on_without_a_lost_or_double_trial(tmp_path: Path) -> None:
    behaviors = dict.fromkeys(range(6), "slow")
    config = campaign(tmp_path, behaviors, max_trials=5, random_trials=5)
    dump_config(config, tmp_path / "campaign.yaml")
    (tmp_path / "nodes").write_text("one\ntwo\n", encoding="utf-8")
    command = [sys.executable, "-m", "training", "hpo", "run", str(tmp_path / "campaign.yaml")]
    process = subprocess.Popen(
        [*command, "--nodes-file", str(tmp_path / "nodes")], stderr=subprocess.DEVNULL
    )
    while len(read_table(config.output)) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    trials = resume_campaign(config.output, None, NODES)
    assert sorted(trial.number for trial in trials) == [0, 1, 2, 3, 4]
    assert {trial.status for trial in trials} == {"finished"}


def test_a_row_that_a_crash_cut_off_is_made_again(tmp_path: Path) -> None:
    config = campaign(tmp_path, max_trials=2)
    whole = start_campaign(config, NODES)
    path = config.output / "trials.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-20], encoding="utf-8")
    again = resume_campaign(config.output, None, NODES)
    assert [trial.number for trial in again] == [0, 1]
    assert [trial.values for trial in again] == [trial.values for trial in whole]


def test_a_campaign_can_be_made_longer(tmp_path: Path) -> None:
    config = campaign(tmp_path, max_trials=1)
    start_campaign(config, NODES)
    assert len(resume_campaign(config.output, 2, NODES)) == 2


def test_a_folder_with_a_campaign_is_not_overwritten(tmp_path: Path) -> None:
    config = campaign(tmp_path, max_trials=1)
    start_campaign(config, NODES)
    with pytest.raises(ConfigError, match="holds a campaign already; resume it"):
        start_campaign(config, NODES)


def test_trials_that_need_more_nodes_than_there_are_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 nodes are not enough for trials of 1"):
        start_campaign(campaign(tmp_path))


def test_values_that_make_no_configuration_are_a_failure_of_the_trial(tmp_path: Path) -> None:
    space = {"architecture.mace.node_max_ell": {"kind": "int", "low": 1, "high": 9}}
    config = campaign(tmp_path, max_trials=4, space=space)
    statuses = {trial.status for trial in start_campaign(config, NODES)}
    assert "invalid" in statuses


def test_the_best_trial_is_promoted_with_where_it_comes_from(tmp_path: Path) -> None:
    config = campaign(tmp_path, {1: "crash"}, random_trials=4)
    trials = start_campaign(config, NODES)
    best = promote(config.output, tmp_path / "best.yaml")
    promoted = load_config(PretrainConfig, tmp_path / "best.yaml")
    rate = promoted.fit.optimizer.learning_rate
    assert rate == best.values["fit.optimizer.learning_rate"]
    assert best.score == min(trial.score for trial in trials if trial.score is not None)
    assert f"Trial {best.number} of 4" in (tmp_path / "best.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="trial 1 has not finished"):
        promote(config.output, tmp_path / "best.yaml", number=1)


def test_the_report_shows_every_trial_and_has_its_pictures_inside(tmp_path: Path) -> None:
    config = campaign(tmp_path, {1: "crash"}, max_trials=9, random_trials=9)
    trials = start_campaign(config, NODES)
    page = write_report(config.output, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64") == 4
    assert "the node caught fire" in page
    assert page.count("<tr") == 1 + len(trials)
    front = pareto_front(trials)
    costs = [trial.result["microseconds_per_atom"] for trial in front]
    assert costs == sorted(costs)
