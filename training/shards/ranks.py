"""The ranks of an MPI job that converts together (mpi4py's door for the shards).

Ranks only agree on the work; each writes shards of its own.
"""

from __future__ import annotations

from typing import Any

from mpi4py import MPI


class MpiTeam:
    """All ranks of the job."""

    def __init__(self) -> None:
        self.rank = MPI.COMM_WORLD.rank
        self.size = MPI.COMM_WORLD.size

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, on all ranks, in the order of ranks."""
        return MPI.COMM_WORLD.allgather(value)
