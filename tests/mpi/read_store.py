"""One rank of the tests of the distributed store: `read_store.py CASE [CASE ...]`.

In each case every rank reads every structure in an order of its own, in another number of batches
than the other ranks. It writes one line per case: how the slices were cut, or the error.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from mpi4py import MPI

from atomfm_calc.errors import ConfigError, DataError
from tests.training.made import CUTOFF, packed, same_graphs
from training.data.source import MemorySource
from training.data.store import StoreSource

CASES: dict[str, dict[str, Any]] = {
    "together": {},
    "copies": {"width": 1, "keep_edges": False},
    "few": {"count": 2},
    "apart": {"share_node_memory": False},
    "undivided": {"width": 2},
    "different": {"count": 20 + MPI.COMM_WORLD.rank},
}


def read_all(count: int = 24, **settings: Any) -> str:
    """Read and compare; the numbers of structures on each rank."""
    graphs = packed(count)
    order = np.random.default_rng(MPI.COMM_WORLD.rank).permutation(count)
    source = MemorySource(graphs, ["made"])
    with StoreSource(source, cutoff=CUTOFF, **settings) as store:
        for index in np.array_split(order, 1 + 2 * MPI.COMM_WORLD.rank):
            if not same_graphs(store.decode(store.fetch(index)), graphs.select(index)):
                raise AssertionError(f"other structures came than {index}")
        return str(np.diff(store.first).tolist())


for case in sys.argv[1:]:
    try:
        result = read_all(**CASES[case])
    except (ConfigError, DataError) as error:
        result = str(error)
    sys.stdout.write(f"{case} {MPI.COMM_WORLD.rank}: {result}\n")
    sys.stdout.flush()
