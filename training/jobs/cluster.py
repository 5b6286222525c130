"""What is known about a cluster, and which queue takes a job."""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, load_config
from atomfm_calc.errors import ConfigError, listing, lookup
from training.jobs import CLUSTERS


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Queue:
    """A queue for a range of job sizes; one name may have several rows."""

    name: str
    """As the scheduler calls it."""
    max_nodes: int
    """Largest job."""
    max_hours: float
    """Longest job of this size."""
    min_nodes: int = 1
    """Smallest job."""

    def admits(self, nodes: int) -> bool:
        """Whether a job of so many nodes may go here."""
        return self.min_nodes <= nodes <= self.max_nodes


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Cluster:
    """Facts about one machine; their sources stand as comments in its file."""

    scheduler: Literal["local", "slurm", "pbs"]
    """Key of `TEMPLATES`."""
    ranks_per_node: int
    """Processes per node: one per device."""
    device: Literal["cpu", "cuda", "xpu"] | None = None
    """Given to the run as `device`; None: what its configuration says."""
    cores_per_rank: int
    """CPUs of each process, as the scheduler counts them."""
    queues: tuple[Queue, ...]
    """In the order in which they are tried."""
    launch_options: tuple[str, ...] = ()
    """Of srun or mpiexec: binding of cores and devices."""
    directives: tuple[str, ...] = ()
    """Further lines for the scheduler at the top of the script."""
    modules: tuple[str, ...] = ()
    """To load, in this order."""
    environment: dict[str, str] = field(default_factory=dict)
    """Variables to export; values may name other variables of the job."""
    master_address: str = "127.0.0.1"
    """Where rank 0 listens, evaluated on the first node."""
    queue_option: str = ""
    """Beginning of the directive that names the queue."""
    account_option: str = ""
    """Beginning of the directive that names the project; empty: there are none."""
    notes: str = ""
    """What a user should know about file systems and limits."""

    def __post_init__(self) -> None:
        if self.ranks_per_node < 1 or self.cores_per_rank < 1 or not self.queues:
            raise ConfigError(
                f"ranks_per_node {self.ranks_per_node}, cores_per_rank {self.cores_per_rank}, "
                f"{len(self.queues)} queues: a cluster has at least one of each"
            )


def load_cluster(name: str) -> Cluster:
    """The cluster of this name, or of a YAML file; UnknownNameError or ConfigError otherwise."""
    if name.endswith((".yaml", ".yml")):
        return load_config(Cluster, Path(name))
    return load_config(Cluster, lookup(CLUSTERS, name, "cluster"))


def choose_queue(cluster: Cluster, nodes: int, name: str | None, hours: float | None) -> Queue:
    """The first queue that takes a job of this size and length.

    Args:
        cluster: the machine.
        nodes: of the job.
        name: of the queue; None: any.
        hours: of the job; None: as long as the queue allows.

    Raises:
        UnknownNameError: no queue of that name.
        ConfigError: too many or too few nodes, or too long; says what is allowed.
    """
    queues = [queue for queue in cluster.queues if name in (None, queue.name)]
    if not queues:
        lookup({queue.name: queue for queue in cluster.queues}, name, "queue", "the cluster")
    for queue in queues:
        if queue.admits(nodes) and (hours is None or hours <= queue.max_hours):
            return queue
    rows = (f"{q.name}: {q.min_nodes} to {q.max_nodes} nodes, {q.max_hours:g} h" for q in queues)
    length = "" if hours is None else f" for {hours:g} h"
    raise ConfigError(f"no queue takes {nodes} nodes{length}; allowed are {listing(rows)}")


def parse_time(text: str) -> int:
    """Seconds of "HH:MM:SS"; ConfigError if it is something else."""
    match = re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", text)
    if match is None or not int("".join(match.groups())):
        raise ConfigError(f"time {text!r} is not HH:MM:SS, such as 02:00:00")
    return 3600 * int(match[1]) + 60 * int(match[2]) + int(match[3])


def format_time(seconds: int) -> str:
    """Seconds as "HH:MM:SS"."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
