"""The place of this process, from its launcher's variables, and the process group that joins all.

The only file of `training` that reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed

from atomfm_calc.errors import TrainingError, listing, lookup
from training.parallel.launcher import Launcher, Place, find_launcher, first_host, read_place

__all__ = ["BACKENDS", "Place", "bound_device", "launcher_place", "process_group"]

BACKENDS = {"cpu": "gloo", "cuda": "nccl", "xpu": "xccl"}
"""Device type -> the communication library that moves its tensors."""

DEFAULT_PORT = 29500
"""Where a launcher names no port; the default of torch.distributed."""
DEFAULT_TIMEOUT_SECONDS = 1800.0
"""Longest wait in a collective: a first batch may take minutes on a shared file system."""


def launcher_place(environment: Mapping[str, str] | None = None) -> Place:
    """Where this process stands, from the variables of torchrun, Slurm, PALS, Open MPI or MPICH.

    MASTER_ADDR and MASTER_PORT count under every launcher. Without them the address is the first
    host of Slurm's step or of PBS_NODEFILE, and the port follows from the job's number.

    Args:
        environment: names and values; None: those of this process.

    Returns:
        A single process if there is no launcher. A Slurm batch script or interactive allocation is
        none: there only srun launches.

    Raises:
        TrainingError: variables are missing, no numbers or contradictory; names them.
    """
    environment = os.environ if environment is None else environment
    launcher = find_launcher(environment)
    if launcher is None:
        return Place(
            rank=0, world_size=1, local_rank=0, local_world_size=1, node=0, launcher="none"
        )
    address = environment.get("MASTER_ADDR") or _first_host_of_job(launcher, environment)
    return read_place(launcher, environment, address, _port(environment))


def _first_host_of_job(launcher: Launcher, environment: Mapping[str, str]) -> str | None:
    if launcher.name == "Slurm":
        nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST")
        return first_host(nodes) if nodes else None
    if launcher.name != "torchrun" and "PBS_NODEFILE" in environment:
        path = Path(environment["PBS_NODEFILE"])
        try:
            hosts = path.read_text(encoding="utf-8").split()
        except OSError as error:
            raise TrainingError(
                f"PBS_NODEFILE={path} cannot be read: {error.strerror}; set MASTER_ADDR"
            ) from error
        return hosts[0] if hosts else None
    return None


def _port(environment: Mapping[str, str]) -> int | None:
    given = environment.get("MASTER_PORT")
    if given is not None:
        if not (given.isdecimal() and 0 < int(given) < 65536):
            raise TrainingError(f"MASTER_PORT={given!r} is no port; give a number below 65536")
        return int(given)
    job = re.match(r"\d+", environment.get("SLURM_JOB_ID") or environment.get("PBS_JOBID") or "")
    # below 32768, where Linux begins to hand out ports on its own
    return 20000 + int(job[0]) % 12000 if job else None


def bound_device(place: Place, device: str | torch.device, n_visible: int) -> torch.device:
    """The device of this rank: the one of its local rank, or the only one that it sees.

    Args:
        place: of the process.
        device: "cpu", "cuda" (NVIDIA and AMD), "xpu", or one with an index, as in "cuda:1".
        n_visible: accelerators that this process sees.

    Raises:
        TrainingError: fewer devices than ranks on the node, or one index for several ranks.
    """
    wanted = torch.device(device)
    if wanted.type == "cpu":
        return wanted
    if n_visible < 1:
        raise TrainingError(f"device {device} was asked for, but this process sees none")
    if wanted != torch.device(wanted.type):  # it has an index
        if place.local_world_size > 1:
            raise TrainingError(
                f"device {device} would be shared by the {place.local_world_size} processes of a "
                f"node; write {wanted.type!r}, each then takes the one of its local rank"
            )
        return wanted
    if n_visible == 1:  # the launcher has bound one to each process
        return torch.device(wanted.type, 0)
    if place.local_rank >= n_visible:
        raise TrainingError(
            f"local rank {place.local_rank} of {place.local_world_size} has no {wanted.type} "
            f"device of its own: {n_visible} are visible; start as many processes per node"
        )
    return torch.device(wanted.type, place.local_rank)


@contextmanager
def process_group(
    place: Place,
    device: str | torch.device = "cpu",
    backend: str | None = None,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Iterator[torch.device]:
    """Join all processes for the time of a `with` block; a single one gets a group of its own.

    Args:
        place: of this process.
        device: see `bound_device`.
        backend: of torch.distributed, such as "gloo" or "cpu:gloo,cuda:nccl"; None: by device, see
            `BACKENDS`.
        timeout_seconds: longest wait in a collective before it raises.

    Yields:
        The device of this rank; it is the current one of its type.

    Raises:
        TrainingError: no such device or backend, no address of rank 0, or a group exists already.
    """
    if torch.distributed.is_initialized():
        raise TrainingError("this process is in a process group already; leave that one first")
    n_visible = 0 if torch.device(device).type == "cpu" else torch.accelerator.device_count()
    bound = bound_device(place, device, n_visible)
    if bound.type != "cpu":
        torch.accelerator.set_device_index(bound.index)
    chosen = lookup(BACKENDS, bound.type, "backend for device") if backend is None else backend
    _check_backend(chosen)
    address, store = _rendezvous(place)
    # NCCL then knows its device before the first collective; other backends take no device
    takes_device = bound.type == "cuda" and "nccl" in chosen
    torch.distributed.init_process_group(
        chosen,
        init_method=address,
        store=store,
        rank=place.rank,
        world_size=place.world_size,
        timeout=timedelta(seconds=timeout_seconds),
        device_id=bound if takes_device else None,
    )
    try:
        yield bound
    finally:
        torch.distributed.destroy_process_group()


def _check_backend(backend: str) -> None:
    names = [part.rpartition(":")[2] for part in backend.split(",")]
    missing = [name for name in names if not torch.distributed.is_backend_available(name)]
    if missing:
        known = ("gloo", "nccl", "xccl", "mpi", "ucc")
        here = [name for name in known if torch.distributed.is_backend_available(name)]
        raise TrainingError(
            f"this torch has no backend {listing(missing)}; it has: {listing(here)}. "
            "Name one of these or install torch for this machine's accelerator"
        )


def _rendezvous(place: Place) -> tuple[str | None, torch.distributed.Store | None]:
    """Where the processes meet: an address or, for a single one, a store of its own."""
    if place.world_size == 1:
        return None, torch.distributed.HashStore()
    address = place.master_address or ("127.0.0.1" if place.is_on_one_node else None)
    if address is None:
        raise TrainingError(
            f"{place.launcher} started {place.world_size} processes on several nodes but does not "
            "say where rank 0 is; export MASTER_ADDR (the first host) and MASTER_PORT"
        )
    port = DEFAULT_PORT if place.master_port is None else place.master_port
    host = f"[{address}]" if ":" in address else address
    return f"tcp://{host}:{port}", None
