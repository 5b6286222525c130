"""Rendered scripts: valid shell, the facts of each cluster, clear refusals."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from atomfm_calc.errors import ConfigError, UnknownNameError
from training.jobs import CLUSTERS
from training.jobs.cluster import choose_queue, load_cluster, parse_time
from training.jobs.commands import submit
from training.jobs.render import Job, render_script, submit_commands

NODES = {"local": 1, "frontier": 200, "aurora": 300, "perlmutter": 64}
SCHEDULED = [name for name in CLUSTERS if name != "local"]


def job_on(name: str, **changes: object) -> Job:
    cluster = load_cluster(name)
    job = Job(
        cluster=cluster,
        nodes=NODES[name],
        config=Path("configs/large run.yaml"),
        output=Path("runs/large run"),
        project=Path("project's folder"),
        python="python",
        account="mat000" if cluster.account_option else None,
    )
    return replace(job, **changes)


def assert_valid_shell(text: str) -> None:
    result = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert result.returncode == 0, f"{result.stderr}\n{text}"


@pytest.mark.parametrize("environment", [None, "envs/torch env", "envs/torch env.tar.gz"])
@pytest.mark.parametrize("name", CLUSTERS)
def test_scripts_and_commands_are_valid_shell(name: str, environment: str | None) -> None:
    job = job_on(name, chain=3, environment=None if environment is None else Path(environment))
    assert_valid_shell(render_script(job))
    assert_valid_shell(submit_commands(job))
    assert "{{" not in render_script(job)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("frontier", ["#SBATCH --nodes=200", "#SBATCH --partition=batch", "--ntasks=1600"]),
        ("frontier", ["--gpu-bind=closest", "--cpus-per-task=7", "NCCL_SOCKET_IFNAME=\"hsn0,"]),
        ("frontier", ["#SBATCH --time=12:00:00", "#SBATCH --signal=USR1@300", "device=cuda"]),
        ("frontier", ["#SBATCH --account=mat000", "#SBATCH --network=disable_rdzv_get"]),
        ("perlmutter", ["#SBATCH --qos=regular", "#SBATCH --constraint=gpu", "--ntasks=256"]),
        ("aurora", ["#PBS -l select=300", "#PBS -q prod", "-n 3600 --ppn 12", "device=xpu"]),
        ("aurora", ["#PBS -l filesystems=home:flare", "ATOMFM_WORLD_SIZE=3600", "--pmi=pmix"]),
        ("local", ["torch.distributed.run --standalone --nproc-per-node 2"]),
    ],
)  # fmt: skip
def test_a_script_has_the_facts_of_its_cluster(name: str, lines: list[str]) -> None:
    script = render_script(job_on(name))
    assert [line for line in lines if line not in script] == []


@pytest.mark.parametrize("name", SCHEDULED)
def test_every_fact_of_a_cluster_has_a_source(name: str) -> None:
    text = CLUSTERS[name].read_text(encoding="utf-8")
    assert "docs." in text.splitlines()[0]
    assert text.count("# [") + text.count("# docs.") >= 6


@pytest.mark.parametrize("name", SCHEDULED)
def test_directives_come_before_the_first_command(name: str) -> None:
    lines = render_script(job_on(name)).splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not [line for line in lines[first:] if line.startswith(("#SBATCH", "#PBS"))]


@pytest.mark.parametrize(
    ("name", "dependency"),
    [("frontier", "--dependency=afterany:"), ("aurora", "-W depend=afterany:")],
)
def test_a_chain_depends_on_the_end_of_the_job_before(name: str, dependency: str) -> None:
    assert submit_commands(job_on(name, chain=3)).count(dependency) == 2
    assert dependency not in submit_commands(job_on(name))


def test_the_submit_commands_hand_each_job_the_number_of_the_one_before(tmp_path: Path) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(f'#!/bin/bash\necho "$@" >>{tmp_path}/calls\nwc -l <{tmp_path}/calls\n')
    sbatch.chmod(0o755)
    commands = submit_commands(job_on("frontier", chain=3))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(["bash", "-c", commands], env=environment, check=True, capture_output=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert ["afterany:1" in calls[1], "afterany:2" in calls[2], len(calls)] == [True, True, 3]


def test_the_queue_follows_from_size_and_length() -> None:
    frontier = load_cluster("frontier")
    assert choose_queue(frontier, 8, None, None).max_hours == 2
    assert choose_queue(frontier, 8, None, 20).name == "extended"
    assert choose_queue(load_cluster("aurora"), 300, None, None).name == "prod"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"time": "13:00:00"}, "no queue takes 200 nodes for 13 h; allowed are batch: 1 to 91"),
        ({"nodes": 20000}, "no queue takes 20000 nodes"),
        ({"time": "2 hours"}, "time '2 hours' is not HH:MM:SS"),
        ({"time": "00:05:00"}, "00:05:00 is too short"),
    ],
)
def test_jobs_that_no_queue_takes_are_refused(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        render_script(job_on("frontier", **changes))


def test_a_job_needs_an_account_and_known_names() -> None:
    with pytest.raises(ConfigError, match="give --account"):
        job_on("frontier", account=None)
    with pytest.raises(UnknownNameError, match="no cluster 'frontir'.*Did you mean 'frontier'"):
        load_cluster("frontir")
    with pytest.raises(UnknownNameError, match="no queue 'long'; the cluster has: batch"):
        render_script(job_on("frontier", queue="long"))


def test_an_unknown_key_of_a_cluster_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(CLUSTERS["local"].read_text().replace("ranks_per_node", "rank_per_node"))
    with pytest.raises(ConfigError, match=r"own.yaml: .*'rank_per_node'.*'ranks_per_node'"):
        load_cluster(str(path))


def test_times_are_hours_minutes_and_seconds() -> None:
    assert parse_time("01:02:03") == 3723
    for text in ("1:2:3", "00:00:00", "01:60:00"):
        with pytest.raises(ConfigError, match="is not HH:MM:SS"):
            parse_time(text)


def test_the_command_prints_and_submits_nothing_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.yaml"
    fit = "fit: {duration: {max_steps: 1}}\nparallel: {strategy: ddp, batches_per_step: 16}\n"
    config.write_text(f"output: {tmp_path}/run\nheads: [any]\n{fit}")
    submit(cluster="frontier", account="mat1", config=config, dry_run=True)
    shown = capsys.readouterr()
    assert "#SBATCH --nodes=1\n" in shown.out
    assert "Orion" in shown.err
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="give --dry-run to see"):
        submit(cluster="frontier", account="mat1", config=config)


def test_a_job_whose_ranks_cannot_share_a_step_is_not_submitted(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    fit = "fit: {duration: {max_steps: 1}}\nparallel: {strategy: ddp, batches_per_step: 16}\n"
    config.write_text(f"output: {tmp_path}/run\nheads: [any]\n{fit}")
    with pytest.raises(ConfigError, match="24 ranks cannot share 16 batches"):
        submit(cluster="frontier", account="mat1", config=config, nodes=3, dry_run=True)
