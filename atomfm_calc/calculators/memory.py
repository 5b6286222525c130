"""How much memory a calculation takes, how much there is, and what to do when it runs out.

The peak of energy and derivatives is what the blocks keep for the gradient, and a little that is in
use at a time. It grows in proportion to atoms and edges:

    numbers = F [ (a L + b) N + (c L + d) E ] + e E + 2 W N

in the precision of the network, with F features, L layers, N atoms and E edges, and W the widths of
the hidden layers of all heads together: each layer keeps what comes before and behind its
activation. The formula counts PaiNN's arrays. The constants are fitted to peaks that
`benchmarks/memory.py` measures; it also shows how far off the estimate is.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from atomfm_calc.errors import lookup
from atomfm_calc.kernels import cpu_memory
from atomfm_calc.models.architecture import PainnConfig

GIB = 2**30
_MEMORY = Path("/proc/meminfo")
_LIMITS = Path("/proc/self/limits")
_PAGES = Path("/proc/self/statm")
_GROUP = Path("/sys/fs/cgroup")


class Need(NamedTuple):
    """The constants of the formula above."""

    atom_layer: float
    """a: arrays [N, F] of each layer"""
    atom: float
    """b: other arrays [N, F]"""
    edge_layer: float
    """c: arrays [E, F] of each layer"""
    edge: float
    """d: other arrays [E, F]"""
    edge_numbers: float
    """e: numbers per edge, whatever F and L are: distance, direction, their gradients"""


ENERGY, DERIVATIVES = "energy", "derivatives"
NEEDS: dict[str, dict[str, Need]] = {
    "reference": {
        ENERGY: Need(0, 12, 0, 15, 8),
        DERIVATIVES: Need(10, 0, 12, 5, 48),
    },
    "cpu": {
        ENERGY: Need(0, 33, 0, 0, 22),
        DERIVATIVES: Need(19.5, 18, 0, 0, 23),
    },
    "cuda": {
        ENERGY: Need(0, 24, 0, 0, 7),
        DERIVATIVES: Need(36, 15, 0, 0, 7),
    },
}
"""By kernel, and by whether forces or stress are wanted. Measured on the CPU; "cuda" is taken from
the arrays that its update blocks, in plain torch, keep for the gradient."""


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Peak memory of one evaluation, beyond what the model and the program hold."""

    n_atoms: int
    n_edges: int
    """Directed edges within the cutoff"""
    n_bytes: int
    """Within a factor of 1.5 of what was measured, for structures of more than about 10 MB"""

    @property
    def GiB(self) -> float:  # noqa: N802
        """The estimate in GiB."""
        return self.n_bytes / GIB

    def largest_within(self, n_bytes: float) -> int:
        """Atoms of a structure of the same density that take `n_bytes`."""
        return int(self.n_atoms * n_bytes / max(self.n_bytes, 1))


def estimate(
    n_atoms: int,
    n_edges: int,
    want: Sequence[str],
    *,
    kernel: str,
    dtype: torch.dtype,
    sizes: PainnConfig,
    head_width: int = 0,
) -> MemoryEstimate:
    """The formula above.

    Args:
        n_atoms: of the structure or batch.
        n_edges: directed, within the cutoff.
        want: as in `predict`.
        kernel: key of `NEEDS`.
        dtype: of the network.
        sizes: of the backbone.
        head_width: W above.

    Raises:
        UnknownNameError: a kernel without a row.
    """
    case = DERIVATIVES if {"forces", "stress"} & set(want) else ENERGY
    need = lookup(NEEDS, kernel, "kernel", "the table of memory")[case]
    per_atom = sizes.n_features * (need.atom_layer * sizes.n_layers + need.atom) + 2 * head_width
    per_edge = sizes.n_features * (need.edge_layer * sizes.n_layers + need.edge)
    numbers = per_atom * n_atoms + (per_edge + need.edge_numbers) * n_edges
    return MemoryEstimate(n_atoms=n_atoms, n_edges=n_edges, n_bytes=round(numbers * dtype.itemsize))


def free_memory(device: torch.device) -> int:
    """Bytes that a calculation can still take on a device, what is kept for the next included."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    least = min(_free_on_the_machine(), _free_below_the_limit(), _free_in_the_group())
    return max(0, int(least) + cpu_memory.kept_bytes())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch, NumPy or Python says that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return "can't allocate memory" in str(error)  # torch's CPU allocator has no class of its own


def release(error: BaseException, device: torch.device) -> None:
    """Let go of the arrays that a failed calculation left behind.

    The error knows the functions it came through, and these know their arrays; kept as they are,
    there would be no more memory for the next attempt than for the failed one.
    """
    traceback.clear_frames(error.__traceback__)
    cpu_memory.give_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _free_on_the_machine() -> int:
    if not _MEMORY.exists():  # other systems than Linux do not tell what can be freed
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    lines = _MEMORY.read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def _free_below_the_limit() -> float:
    """What `ulimit -v` leaves."""
    if not _LIMITS.exists():
        return torch.inf
    lines = _LIMITS.read_text(encoding="utf-8").splitlines()
    limit = next(line.split()[3] for line in lines if line.startswith("Max address space"))
    if limit == "unlimited":
        return torch.inf
    return int(limit) - os.sysconf("SC_PAGE_SIZE") * int(_PAGES.read_text().split()[0])


def _free_in_the_group() -> float:
    """What the control group of a container or batch job leaves."""
    limit, used = _GROUP / "memory.max", _GROUP / "memory.current"
    if not (limit.exists() and used.exists()) or limit.read_text().strip() == "max":
        return torch.inf
    return int(limit.read_text()) - int(used.read_text())
