"""The scripts run for real, with a `python` that only answers with an exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from training.jobs import WORKER
from training.jobs.cluster import load_cluster
from training.jobs.render import Job, render_script

FAKE_PYTHON = """#!/bin/bash
# stands for torchrun (its ranks one after the other) and for the training command
if [ "$2" = torch.distributed.run ]; then
    while [ "$1" != --no-python ]; do shift; done
    shift
    exec "$@"
fi
echo "$@" >>{folder}/calls
touch {folder}/runs/one/checkpoint.safetensors
code=$(sed -n "$(wc -l <{folder}/calls)p" {folder}/codes)
if [ "$code" = wait ]; then
    trap 'exit 75' TERM
    touch {folder}/started
    for i in $(seq 200); do sleep 0.05; done
    exit 0
fi
exit "$code"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runs/one").mkdir(parents=True)
    python = tmp_path / "python"
    python.write_text(FAKE_PYTHON.replace("{folder}", str(tmp_path)))
    python.chmod(0o755)
    return tmp_path


def script(folder: Path, codes: list[object], cluster: str = "local", **changes: object) -> Path:
    """A rendered script whose training command ends with these codes, one after the other."""
    (folder / "codes").write_text("\n".join(map(str, codes)) + "\n")
    job = Job(
        cluster=load_cluster(cluster),
        nodes=1,
        config=Path("one.yaml"),
        output=Path("runs/one"),
        project=folder,
        python=str(folder / "python"),
        **{"chain": 3, **changes},
    )
    path = folder / "job.sh"
    path.write_text(render_script(job))
    return path


def run(path: Path, folder: Path) -> tuple[int, list[str], str]:
    """Exit code, the training commands, and the result that is left."""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    result = subprocess.run(["bash", str(path)], env=environment, capture_output=True, timeout=30)
    calls = folder / "calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    return result.returncode, lines, (folder / "runs/one/jobs/result").read_text().strip()


def test_a_run_is_continued_until_it_is_finished(folder: Path) -> None:
    code, calls, result = run(script(folder, [75, 75, 0]), folder)
    assert (code, result) == (0, "finished")
    resumed = "-m training pretrain one.yaml device=cpu --resume"
    assert calls == ["-m training pretrain one.yaml device=cpu", resumed, resumed]


def test_a_finished_run_stops_the_chain(folder: Path) -> None:
    code, calls, result = run(script(folder, [0, 0, 0]), folder)
    assert (code, result, len(calls)) == (0, "finished", 1)


def test_a_chain_that_is_too_short_says_that_it_wants_to_be_continued(folder: Path) -> None:
    code, calls, result = run(script(folder, [75, 75, 75]), folder)
    assert (code, result, len(calls)) == (75, "resume", 3)


def test_a_failure_stops_the_chain_with_its_code(folder: Path) -> None:
    code, calls, result = run(script(folder, [75, 3, 0]), folder)
    assert (code, result, len(calls)) == (3, "failed 3", 2)


def test_the_time_limit_asks_the_run_to_save(folder: Path) -> None:
    path = script(folder, ["wait", 0], time="00:00:01")
    code, calls, result = run(path, folder)
    assert (code, result, len(calls)) == (0, "finished", 2)


def test_sigterm_reaches_the_run_and_ends_the_chain(folder: Path) -> None:
    process = subprocess.Popen(["bash", str(script(folder, ["wait", 0]))])
    wait_for(folder / "started")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 75
    assert (folder / "runs/one/jobs/result").read_text().strip() == "resume"


def fake_srun(folder: Path) -> None:
    srun = folder / "srun"
    srun.write_text('#!/bin/bash\nwhile [ "$1" != bash ]; do shift; done\nexec "$@"\n')
    srun.chmod(0o755)
    (folder / "module").write_text("#!/bin/bash\n")
    (folder / "module").chmod(0o755)


def test_jobs_of_slurm_continue_stop_and_hold_after_a_failure(folder: Path) -> None:
    fake_srun(folder)
    path = script(folder, [75, 0, 0], "perlmutter", account="m1", time="01:00:00")
    assert run(path, folder)[::2] == (75, "resume")
    assert run(path, folder)[::2] == (0, "finished")
    code, calls, result = run(path, folder)
    assert (code, len(calls), result) == (0, 2, "finished")
    (folder / "runs/one/jobs/result").write_text("failed 3")
    assert run(path, folder)[0] == 1


ONCE = """
trap 'trap - TERM; touch "$0/asked"; sleep 0.5; exit 75' TERM  # as the trainer: a second one kills
touch "$0/started"
for i in $(seq 200); do sleep 0.05; done
"""


def wait_for(path: Path) -> None:
    for _ in range(400):
        if path.exists():
            return
        time.sleep(0.05)
    raise TimeoutError(path)


@pytest.mark.parametrize("reach", ["alone", "together"])
def test_however_signals_arrive_the_run_is_asked_once(tmp_path: Path, reach: str) -> None:
    command = ["bash", str(WORKER), str(tmp_path), "0", reach, "bash", "-c", ONCE, str(tmp_path)]
    process = subprocess.Popen(command)
    wait_for(tmp_path / "started")
    if reach == "together":  # Slurm: every process, at the end of a job
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in map(int, children):
            os.kill(child, signal.SIGUSR1)
        process.send_signal(signal.SIGUSR1)
        wait_for(tmp_path / "asked")
    process.send_signal(signal.SIGTERM)
    wait_for(tmp_path / "asked")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert (tmp_path / "resume").exists()


def test_a_rank_that_was_ended_with_others_has_not_failed(tmp_path: Path) -> None:
    command = ["bash", str(WORKER), str(tmp_path), "0", "alone", "bash", "-c"]
    assert subprocess.run([*command, "kill -TERM $$"]).returncode == 143
    assert not list(tmp_path.iterdir())
    assert subprocess.run([*command, "exit 5"]).returncode == 5
    assert (tmp_path / "failed").read_text() == "5\n"
