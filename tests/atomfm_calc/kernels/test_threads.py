"""Loops of the CPU kernel run over every atom once, on whatever threads there are."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from atomfm_calc.kernels import cpu_threads
from atomfm_calc.kernels.cpu_threads import over_atoms, over_edges, over_layer

N_ATOMS = 1000
NO_EDGES = np.zeros(N_ATOMS + 1, int)


@pytest.fixture(params=["torch's threads", "a pool"])
def three_threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Three threads for torch; the second time as where its library has no such entry."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    if request.param == "a pool":
        monkeypatch.setattr(cpu_threads, "_torch_threads", lambda: (os.getpid(), None))
    yield request.param
    torch.set_num_threads(before)


def _count(first: int, last: int, *arrays: np.ndarray) -> None:
    arrays[-1][first:last] += 1


def test_every_atom_is_visited_once(three_threads: str) -> None:
    visits = np.zeros(N_ATOMS, int)
    over_layer(_count, NO_EDGES, visits)
    over_edges(_count, 5 * np.arange(N_ATOMS + 1), visits)
    over_atoms(_count, N_ATOMS, 10**6, visits)
    assert (visits == 3).all()
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("n_atoms", [0, 1])
def test_hardly_any_atoms_are_no_trouble(n_atoms: int, three_threads: str) -> None:
    visits = np.zeros(n_atoms, int)
    over_layer(_count, np.zeros(n_atoms + 1, int), visits)
    over_edges(_count, np.zeros(n_atoms + 1, int), visits)
    over_atoms(_count, n_atoms, 10**6, visits)
    assert (visits == 3).all()


def test_an_error_in_a_loop_reaches_the_caller(three_threads: str) -> None:
    def fail(first: int, last: int, start: object) -> None:
        if first > 0:
            raise ValueError(f"atoms from {first}")

    with pytest.raises(ValueError, match="atoms from"):
        over_layer(fail, NO_EDGES)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
def test_a_forked_process_does_not_wait_for_threads_it_does_not_have(three_threads: str) -> None:
    visits = np.zeros(N_ATOMS, int)
    over_layer(_count, NO_EDGES, visits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12: threads and forks do not go together
        child = os.fork()
    if child == 0:
        over_layer(_count, NO_EDGES, visits)
        os._exit(0 if (visits == 2).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch has another OpenMP library")
def test_loops_run_on_the_threads_of_torch() -> None:
    assert cpu_threads._torch_threads()[1] is not None
