"""What each launcher says about a process: variables, as data, and what they must satisfy.

Nothing here reads the environment; `training.parallel.process` gives it as a mapping.

Sources: torch.distributed.run, "Environment Variables"; Slurm, srun(1) "OUTPUT ENVIRONMENT
VARIABLES"; Open MPI 5, "Environment variables set for MPI applications"; MPICH 4.3 (hydra), seen;
PALS, as Slurm's mpi/cray_shasta and Flux's cray_pals plugins set the same variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from atomfm_calc.errors import TrainingError, listing

FIRST_SPECIAL_STEP = 0xFFFFFFF0
"""Slurm numbers the steps of batch scripts (..FB), interactive shells (..FA) and others from here
on; they are one process each, whatever SLURM_NTASKS promises."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a process stands among those that were launched together."""

    rank: int
    """0 to world_size - 1."""
    world_size: int
    """Processes in all."""
    local_rank: int
    """Among the processes of this node, from 0."""
    local_world_size: int
    """Processes on this node."""
    node: int | None
    """This node's number, from 0; None: the launcher does not say."""
    launcher: str
    """Name of the launcher, none for a single process."""
    master_address: str | None = None
    """Host of rank 0; None: the launcher does not say."""
    master_port: int | None = None
    """A port on it that all ranks agree on; None: the launcher does not say."""

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, the one that logs and writes."""
        return self.rank == 0

    @property
    def is_on_one_node(self) -> bool:
        """Whether all processes run on this node."""
        return self.local_world_size == self.world_size


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Variables of one launcher; of several names the first that is set counts."""

    name: str
    """For messages."""
    markers: tuple[str, ...]
    """Any of these says that this launcher started the process."""
    rank: tuple[str, ...]
    """Rank among all."""
    world_size: tuple[str, ...]
    """Number of all."""
    local_rank: tuple[str, ...]
    """Rank on the node."""
    local_world_size: tuple[str, ...]
    """Number on the node; Slurm's form "4(x2),3" is read with the node's number."""
    node: tuple[str, ...] = ()
    """Number of the node."""


LAUNCHERS: tuple[Launcher, ...] = (
    Launcher(
        name="torchrun",
        markers=("RANK", "WORLD_SIZE", "LOCAL_RANK"),
        rank=("RANK",),
        world_size=("WORLD_SIZE",),
        local_rank=("LOCAL_RANK",),
        local_world_size=("LOCAL_WORLD_SIZE",),
        node=("GROUP_RANK",),
    ),
    Launcher(
        name="Open MPI",
        markers=("OMPI_COMM_WORLD_RANK",),
        rank=("OMPI_COMM_WORLD_RANK",),
        world_size=("OMPI_COMM_WORLD_SIZE",),
        local_rank=("OMPI_COMM_WORLD_LOCAL_RANK",),
        local_world_size=("OMPI_COMM_WORLD_LOCAL_SIZE",),
    ),
    Launcher(
        name="MPICH",
        markers=("MPI_LOCALRANKID",),
        rank=("PMI_RANK",),
        world_size=("PMI_SIZE",),
        local_rank=("MPI_LOCALRANKID",),
        local_world_size=("MPI_LOCALNRANKS",),
    ),
    Launcher(
        name="Slurm",
        markers=("SLURM_PROCID",),
        rank=("SLURM_PROCID",),
        world_size=("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        local_rank=("SLURM_LOCALID",),
        local_world_size=("SLURM_STEP_TASKS_PER_NODE",),
        node=("SLURM_NODEID",),
    ),
    Launcher(
        name="PALS",
        markers=("PALS_RANKID",),
        rank=("PALS_RANKID",),
        world_size=("PMI_SIZE", "ATOMFM_WORLD_SIZE"),  # with PMIx no launcher's variable tells it
        local_rank=("PALS_LOCAL_RANKID", "PMI_LOCAL_RANK"),
        local_world_size=("PALS_LOCAL_SIZE", "PMI_LOCAL_SIZE"),
        node=("PALS_NODEID",),
    ),
    Launcher(
        name="PMI",
        markers=("PMI_RANK",),
        rank=("PMI_RANK",),
        world_size=("PMI_SIZE",),
        local_rank=("PMI_LOCAL_RANK",),
        local_world_size=("PMI_LOCAL_SIZE",),
    ),
)
"""The innermost first: torchrun and mpiexec run inside Slurm's steps, and srun on HPE machines sets
the variables of PALS and PMI beside its own."""


def find_launcher(environment: Mapping[str, str]) -> Launcher | None:
    """Who started this process; None: nobody, it is alone."""
    for launcher in LAUNCHERS:
        is_marked = any(name in environment for name in launcher.markers)
        if is_marked and (launcher.name != "Slurm" or is_slurm_step(environment)):
            return launcher
    return None


def is_slurm_step(environment: Mapping[str, str]) -> bool:
    """Whether srun started this process, and not a batch script or an interactive shell."""
    step = environment.get("SLURM_STEP_ID", environment.get("SLURM_STEPID", ""))
    return step.isdecimal() and int(step) < FIRST_SPECIAL_STEP


def read_place(
    launcher: Launcher, environment: Mapping[str, str], address: str | None, port: int | None
) -> Place:
    """The place that a launcher's variables give; TrainingError names those that cannot be."""
    values = _Variables(launcher, environment)
    node = values.number(launcher.node) if values.has(launcher.node) else None
    place = Place(
        rank=values.number(launcher.rank),
        world_size=values.number(launcher.world_size),
        local_rank=values.number(launcher.local_rank),
        local_world_size=values.number(launcher.local_world_size, node),
        node=node,
        launcher=launcher.name,
        master_address=address,
        master_port=port,
    )
    is_possible = (
        0 <= place.rank < place.world_size
        and 0 <= place.local_rank < place.local_world_size <= place.world_size
        and place.local_rank <= place.rank
    )
    if not is_possible:
        raise TrainingError(
            f"the variables of {launcher.name} contradict each other: {values.shown()}. Ranks "
            "count from 0, a node has a part of all processes; unset what an outer job has left"
        )
    return place


class _Variables:
    """Numbers from the environment, with the names that they came under."""

    def __init__(self, launcher: Launcher, environment: Mapping[str, str]) -> None:
        self.launcher, self.environment = launcher, environment

    def has(self, names: tuple[str, ...]) -> bool:
        return any(name in self.environment for name in names)

    def number(self, names: tuple[str, ...], node: int | None = None) -> int:
        """The first of `names` that is set; "4(x2),3" gives what `node` has."""
        found = next((name for name in names if name in self.environment), None)
        if found is None:
            raise TrainingError(
                f"{self.launcher.name} started this process but {' or '.join(names)} is not set; "
                f"it gave {self.shown()}. Set it, or unset these to run a single process"
            )
        text = self.environment[found].strip()
        if re.fullmatch(r"\d+", text):
            return int(text)
        counts = expand_counts(text)
        if node is None or not 0 <= node < len(counts):
            raise TrainingError(f"{found}={text!r} is no number that {self.launcher.name} can give")
        return counts[node]

    def shown(self) -> str:
        launcher = self.launcher
        groups = (launcher.rank, launcher.world_size, launcher.local_rank)
        names = [
            name for group in (*groups, launcher.local_world_size, launcher.node) for name in group
        ]
        return listing(f"{n}={self.environment[n]}" for n in names if n in self.environment)


def expand_counts(text: str) -> list[int]:
    """Numbers per node from Slurm's form: "4(x2),3" is 4, 4, 3; empty if it is something else."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if match is None:
            return []
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def first_host(nodes: str) -> str:
    """The first host of a Slurm node list: "frontier[00007-00009,00012]" begins with frontier00007.

    Several bracketed parts in a name, as in "rack[1-2]node[5-6]", are taken at their first values.

    Raises:
        TrainingError: the text is no node list.
    """
    host = re.match(r"(?:[^,\[\]]|\[[^\[\]]*\])+(?=,|$)", nodes.strip())
    first = re.sub(r"\[(\w+)(?:-\w+)?(?:,\w+(?:-\w+)?)*\]", r"\1", host[0]) if host else ""
    if not re.fullmatch(r"[\w.-]+", first):
        raise TrainingError(
            f"{nodes!r} is no Slurm node list, such as frontier[00007-00009,00012]; set MASTER_ADDR"
        )
    return first
