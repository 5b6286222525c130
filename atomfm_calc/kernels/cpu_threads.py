"""The threads of the CPU kernel: those that torch computes with, so that none waits for another.

After each of its own operations torch's threads stay awake for some milliseconds, on the processors
where the next loop should run: with threads of its own a loop on two processors took as long as on
one. So loops run as a parallel region of the OpenMP library that torch is linked with, through the
entry that GNU compilers use for one. Where there is none (macOS, Windows), and in a process forked
from one that computed, whose threads are gone, a pool of Python threads takes its place.

Numba's own threads are not used: its OpenMP layer changes the number of threads of torch (numba
0.68, torch 2.13), and its other layers would wait as described.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Loop = Callable[..., None]
"""`loop(first, last, *arguments)`, compiled, free of Python's lock."""

MINIMUM_EDGES = 500
"""Edges per thread below which another thread costs more than it brings."""
EDGES_PER_ATOM = 50
"""How many edges take as long as the matrix products of an atom, for some hundred features."""
PRODUCTS_PER_EDGE = 5_000
"""How many multiplications of a matrix product take as long as an edge."""
WORK_OF_A_RANGE = 10_000
"""Work in edges that is worth another range, so that no thread waits for a slower one."""

_REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""Thread pools by process and size."""


def over_edges(loop: Loop, start: NDArray[Any], *arguments: Any) -> None:
    """Run `loop(first, last, start, *arguments)` over ranges of atoms with about as many edges.

    Args:
        loop: writes to its own atoms and their edges only.
        start: first edge of each atom [N + 1].
        arguments: the rest.
    """
    n_edges = int(start[-1])
    n_ranges = min(torch.get_num_threads(), n_edges // MINIMUM_EDGES + 1)
    shares = [n_edges * part // n_ranges for part in range(1, n_ranges)]
    bounds = [0, *np.searchsorted(start, shares).tolist(), len(start) - 1]
    _run(loop, bounds, start, *arguments)


def over_layer(loop: Loop, start: NDArray[Any], *arguments: Any) -> None:
    """`over_edges` for loops that also have matrix products for each atom.

    Args:
        loop: as in `over_edges`.
        start: first edge of each atom [N + 1].
        arguments: the rest.
    """
    n_atoms, n_threads = len(start) - 1, torch.get_num_threads()
    work = start + EDGES_PER_ATOM * np.arange(n_atoms + 1)
    n_ranges = 1
    if n_threads > 1 and n_atoms > 1 and work[-1] > 2 * MINIMUM_EDGES:
        n_ranges = n_threads * int(min(4, 1 + work[-1] // (n_threads * WORK_OF_A_RANGE)))
    shares = [work[-1] * part // n_ranges for part in range(1, n_ranges)]
    bounds = [0, *np.searchsorted(work, shares).tolist(), n_atoms]
    _run(loop, bounds, start, *arguments)


def over_atoms(loop: Loop, n_atoms: int, products: int, *arguments: Any) -> None:
    """`over_edges` for loops that have no edges.

    Args:
        loop: as in `over_edges`.
        n_atoms: N.
        products: multiplications for each atom.
        arguments: the rest.
    """
    work = n_atoms * products // PRODUCTS_PER_EDGE
    n_ranges = min(torch.get_num_threads(), n_atoms, work // MINIMUM_EDGES) or 1
    bounds = [n_atoms * part // n_ranges for part in range(n_ranges + 1)]
    _run(loop, bounds, *arguments)


def _run(loop: Loop, bounds: list[int], *arguments: Any) -> None:
    """Each range between two bounds once, by whichever thread is free."""
    ranges, errors = iter(list(pairwise(bounds))), list[BaseException]()

    def work(_: Any = None) -> None:
        try:
            for ends in ranges:
                loop(*ends, *arguments)
        except BaseException as error:  # would be lost on its way through C
            errors.append(error)

    if len(bounds) > 2:
        _on_all_threads(work)
    else:
        work()
    if errors:
        raise errors[0]


def _on_all_threads(work: Callable[..., None]) -> None:
    """Call `work` once on each of as many threads as torch has, the caller's among them."""
    n_threads, (process, parallel_region) = torch.get_num_threads(), _torch_threads()
    if parallel_region is not None and process == os.getpid():
        # all of them: a smaller region would end the others, and torch start them again
        parallel_region(_REGION(work), None, n_threads, 0)
        return
    key = (os.getpid(), n_threads - 1)
    pool = _POOLS.setdefault(key, ThreadPoolExecutor(n_threads - 1))
    tasks = [pool.submit(work) for _ in range(n_threads - 1)]
    work()
    for task in tasks:
        task.result()


@cache
def _torch_threads() -> tuple[int, Any]:
    """The process that asked first, and what starts a parallel region there; None: nothing does."""
    # a library is searched together with those that it is linked with
    return os.getpid(), getattr(ctypes.CDLL(torch._C.__file__), "GOMP_parallel", None)
