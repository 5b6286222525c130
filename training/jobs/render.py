"""The job script of a run on a cluster, and the commands that submit a chain of it."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from atomfm_calc.errors import ConfigError
from training.engine.checkpoint import CHECKPOINT_FILE
from training.jobs import TEMPLATES, WORKER
from training.jobs.cluster import Cluster, Queue, choose_queue, format_time, parse_time

WARNING_SECONDS = 300
"""How long before the limit a run is asked to save: a checkpoint of a large model and the last step
take less than a minute, a crowded file system may take more."""
JOBS_FOLDER = "jobs"
"""Folder inside the run folder for scripts, logs and results of the chain."""


PLACEHOLDER = r"\{\{(?:(?P<escaped>\{\{)|(?P<named>[a-z_]+)\}\}|(?P<braced>(?!))|(?P<invalid>))"


class ShellTemplate(string.Template):
    """`{{name}}` is replaced; dollar signs are the shell's."""

    pattern = PLACEHOLDER  # type: ignore[assignment]  # the base class compiles it


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to run, and where."""

    cluster: Cluster
    """The machine."""
    nodes: int
    """Nodes of each job."""
    config: Path
    """Configuration of the run."""
    output: Path
    """Run folder that the configuration names, relative to `project` or absolute."""
    project: Path
    """Folder that the job starts in: relative paths of the configuration begin there."""
    python: str
    """Interpreter on the nodes."""
    time: str | None = None
    """HH:MM:SS of each job; None: the longest that the queue allows."""
    account: str | None = None
    """Project to charge."""
    queue: str | None = None
    """Name of the queue; None: the first that takes the job."""
    chain: int = 1
    """Jobs that follow each other until the run is finished."""
    environment: Path | None = None
    """Python environment to activate: a folder, or a packed archive to copy to every node."""

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.chain < 1:
            raise ConfigError(f"nodes {self.nodes}, chain {self.chain}: both are at least 1")
        if self.account is None and self.cluster.account_option:
            raise ConfigError("jobs on this cluster are charged to a project: give --account")
        if self.account is not None and not re.fullmatch(r"[\w.-]+", self.account):
            raise ConfigError(f"account {self.account!r} is no project name")

    @property
    def ranks(self) -> int:
        """Processes in all."""
        return self.nodes * self.cluster.ranks_per_node

    @property
    def state(self) -> Path:
        """Folder for scripts, logs and the result that one job leaves for the next."""
        return self.project / self.output / JOBS_FOLDER

    @property
    def script(self) -> Path:
        """Where the script goes."""
        return self.state / f"{self.cluster.scheduler}.sh"


def queue_and_seconds(job: Job) -> tuple[Queue, int]:
    """The queue and the length of each job in s; ConfigError if the cluster has none such."""
    seconds = None if job.time is None else parse_time(job.time)
    hours = None if seconds is None else seconds / 3600
    queue = choose_queue(job.cluster, job.nodes, job.queue, hours)
    seconds = round(3600 * queue.max_hours) if seconds is None else seconds
    if job.cluster.scheduler != "local" and seconds <= 2 * WARNING_SECONDS:
        raise ConfigError(
            f"{format_time(seconds)} is too short: a run is asked to save {WARNING_SECONDS} s "
            f"before the end; give more than {format_time(2 * WARNING_SECONDS)}"
        )
    return queue, seconds


def render_script(job: Job) -> str:
    """The job script; needs no other file than the installed package and the configuration."""
    cluster = job.cluster
    queue, seconds = queue_and_seconds(job)
    is_local = cluster.scheduler == "local"
    limit = seconds if job.time is not None else 0
    device = [] if cluster.device is None else [f"device={cluster.device}"]
    values = {
        "name": "atomfm-" + re.sub(r"[^\w-]", "-", job.output.name),
        "nodes": job.nodes,
        "ranks": job.ranks,
        "ranks_per_node": cluster.ranks_per_node,
        "cores_per_rank": cluster.cores_per_rank,
        "time": format_time(seconds),
        "seconds": limit if is_local else seconds - WARNING_SECONDS,
        "warning_seconds": WARNING_SECONDS,
        "directives": directives(job, queue),
        "project": quote(str(job.project)),
        "state": quote(str(job.state)),
        "checkpoint": quote(str(job.output / CHECKPOINT_FILE)),
        "modules": "\n".join(f"module load {quote(name)}" for name in cluster.modules),
        "environment": "\n".join(
            f'export {name}="{value}"' for name, value in cluster.environment.items()
        ),
        "master_address": f'"{cluster.master_address}"',
        "staging": staging(job),
        "launch_options": " ".join(quote(option) for option in cluster.launch_options),
        "worker": quote(str(WORKER)),
        "python": quote(job.python),
        "config": " ".join([quote(str(job.config)), *device]),
        "chain": job.chain,
    }
    text = TEMPLATES[cluster.scheduler].read_text(encoding="utf-8")
    return ShellTemplate(text).substitute(values)


def submit_commands(job: Job) -> str:
    """Shell commands that submit the chain; each job waits for the end of the one before it."""
    script, state = quote(str(job.script)), quote(str(job.state / "result"))
    begin = f"rm -f {state} # of an earlier chain"
    commands = {
        "local": lambda: [f"bash {script}"],
        "slurm": lambda: _chained("sbatch --parsable", "--dependency=afterany:", script, job.chain),
        "pbs": lambda: _chained("qsub", "-W depend=afterany:", script, job.chain),
    }
    return "\n".join(["set -e", begin, *commands[job.cluster.scheduler]()]) + "\n"


def _chained(submit: str, dependency: str, script: str, chain: int) -> list[str]:
    first = [f"job=$({submit} {script})", 'echo "$job"']
    # whatever the end of a job was, the next one starts, reads its result and goes on or stops
    later = [f'job=$({submit} {dependency}"$job" {script})', 'echo "$job"']
    return first + later * (chain - 1)


def directives(job: Job, queue: Queue) -> str:
    """Further lines for the scheduler at the top of the script."""
    cluster = job.cluster
    lines = [*cluster.directives]
    if cluster.queue_option:
        lines.append(f"{cluster.queue_option}{queue.name}")
    if cluster.account_option:
        lines.append(f"{cluster.account_option}{job.account}")
    return "\n".join(lines)


def staging(job: Job) -> str:
    """Lines that make the Python environment available; an archive goes to every node's disk."""
    if job.environment is None:
        return ""
    source = quote(str(job.environment))
    if not job.environment.name.endswith((".tar.gz", ".tgz", ".tar")):
        return f"set +u; source {source}/bin/activate; set -u"
    each = {
        "local": "",
        "slurm": f"srun --nodes={job.nodes} --ntasks={job.nodes} --ntasks-per-node=1 ",
        "pbs": f"mpiexec -n {job.nodes} --ppn 1 --envall ",
    }[job.cluster.scheduler]
    return "\n".join(
        [
            'place="${TMPDIR:-/tmp}/atomfm-${SLURM_JOB_ID:-${PBS_JOBID:-$$}}"',
            f'{each}mkdir -p "$place"',
            # one stream of one file per node instead of thousands of small reads per rank
            f'{each}tar -xf {source} -C "$place"',
            'set +u; source "$place/bin/activate"; set -u',
            "if command -v conda-unpack >/dev/null; then",
            f"    {each}conda-unpack",
            "fi",
        ]
    )
