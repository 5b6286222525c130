"""Who screens together: processes told their numbers, or the ranks of an MPI job (the mpi4py door).

Processes agree through the folder of results alone. MPI only tells each of them who it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from atomfm_calc.errors import ConfigError
from atomfm_calc.packages import require


@dataclass(frozen=True, kw_only=True)
class Team:
    """The place of this process."""

    rank: int = 0
    """0 to ranks - 1."""
    ranks: int = 1
    """Processes in all."""

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            raise ConfigError(f"rank {self.rank} of {self.ranks}: ranks count from 0")

    def share(self, n_blocks: int) -> range:
        """The blocks that this process begins with; those of all ranks together are all."""
        return self.share_of(self.rank, n_blocks)

    def share_of(self, rank: int, n_blocks: int) -> range:
        """The blocks that a process begins with."""
        return range(rank * n_blocks // self.ranks, (rank + 1) * n_blocks // self.ranks)


def mpi_team() -> Team:
    """The place among the ranks of this MPI job; starts MPI."""
    require("mpi4py")
    from mpi4py import MPI

    return Team(rank=MPI.COMM_WORLD.rank, ranks=MPI.COMM_WORLD.size)
