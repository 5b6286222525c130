"""Job scripts of campaigns."""

from __future__ import annotations

from pathlib import Path

import pytest

from atomfm_calc.errors import UnknownNameError
from tests.training.jobs.test_submit import SCHEDULED, assert_valid_shell, job_on
from training.jobs.campaign import render_campaign, trial_launch
from training.jobs.cluster import load_cluster


@pytest.mark.parametrize("environment", [None, "envs/torch env", "envs/torch env.tar.gz"])
@pytest.mark.parametrize("name", SCHEDULED)
def test_the_script_of_a_campaign_is_shell(name: str, environment: str | None) -> None:
    place = None if environment is None else Path(environment)
    script = render_campaign(job_on(name, environment=place), nodes_per_trial=4)
    assert_valid_shell(script)
    assert "-m training hpo" in script
    assert "{{" not in script.replace("{nodes}", "")


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_trial_runs_on_nodes_of_its_own_with_a_rank_per_device(name: str) -> None:
    cluster = load_cluster(name)
    launch = trial_launch(cluster, 4).format(nodes="a,b,c,d", n_nodes=4, first="a")
    assert "a,b,c,d" in launch
    assert "MASTER_ADDR=a " in launch
    assert f" {4 * cluster.ranks_per_node} " in launch.replace("=", " ")


def test_on_one_machine_there_is_no_job_for_a_campaign() -> None:
    with pytest.raises(UnknownNameError, match="no scheduler for campaigns 'local'"):
        render_campaign(job_on("local"), nodes_per_trial=1)
