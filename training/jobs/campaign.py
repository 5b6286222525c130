"""The job script of a search on a cluster: the search on the first node, trials on all of them."""

from __future__ import annotations

import re
from shlex import quote

from atomfm_calc.errors import lookup
from training.jobs import CAMPAIGN_TEMPLATES
from training.jobs.cluster import Cluster, format_time
from training.jobs.render import (
    WARNING_SECONDS,
    Job,
    ShellTemplate,
    directives,
    queue_and_seconds,
    staging,
)

CAMPAIGN_FILE = "campaign.yaml"
"""In the campaign's folder: it has begun."""


def trial_launch(cluster: Cluster, nodes_per_trial: int) -> str:
    """What `evaluator.launch` is on this cluster: a trial on nodes of its own.

    Args:
        cluster: with Slurm or PBS.
        nodes_per_trial: of `evaluator`.
    """
    ranks = nodes_per_trial * cluster.ranks_per_node
    options = " ".join(quote(option) for option in cluster.launch_options)
    launches = {
        "slurm": (
            "env MASTER_ADDR={first} srun --nodes={n_nodes} --nodelist={nodes} "
            f"--ntasks={ranks} --ntasks-per-node={cluster.ranks_per_node} "
            f"--cpus-per-task={cluster.cores_per_rank} {options}"
        ),
        "pbs": (
            f"env MASTER_ADDR={{first}} ATOMFM_WORLD_SIZE={ranks} mpiexec -n {ranks} "
            f"--ppn {cluster.ranks_per_node} --hosts {{nodes}} --envall {options}"
        ),
    }
    return lookup(launches, cluster.scheduler, "scheduler for campaigns").strip()


def render_campaign(job: Job, nodes_per_trial: int) -> str:
    """The job script of a campaign.

    Args:
        job: with the campaign's configuration and folder.
        nodes_per_trial: of `evaluator`.

    Raises:
        UnknownNameError: a scheduler without a template; on one machine, run it without a job.
    """
    cluster = job.cluster
    template = lookup(CAMPAIGN_TEMPLATES, cluster.scheduler, "scheduler for campaigns")
    queue, seconds = queue_and_seconds(job)
    device = [] if cluster.device is None else [f"trial.device={cluster.device}"]
    launch = f"evaluator.launch={trial_launch(cluster, nodes_per_trial)}"
    values = {
        "name": "atomfm-" + re.sub(r"[^\w-]", "-", job.output.name),
        "nodes": job.nodes,
        "time": format_time(seconds),
        "seconds": seconds - WARNING_SECONDS,
        "directives": directives(job, queue),
        "project": quote(str(job.project)),
        "state": quote(str(job.state)),
        "campaign": quote(str(job.output / CAMPAIGN_FILE)),
        "output": quote(str(job.output)),
        "modules": "\n".join(f"module load {quote(name)}" for name in cluster.modules),
        "environment": "\n".join(
            f'export {name}="{value}"' for name, value in cluster.environment.items()
        ),
        "staging": staging(job),
        "python": quote(job.python),
        "config": " ".join(quote(word) for word in (str(job.config), launch, *device)),
    }
    return ShellTemplate(template.read_text(encoding="utf-8")).substitute(values)
