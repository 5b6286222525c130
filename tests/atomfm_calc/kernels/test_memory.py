"""Memory that is used again."""

from __future__ import annotations

import numpy as np
import pytest

from atomfm_calc.kernels import cpu_memory
from atomfm_calc.kernels.cpu_memory import LINE, Memory

REAL = np.dtype(np.float64)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cpu_memory._KEPT.clear()


def test_arrays_do_not_overlap_and_begin_at_lines() -> None:
    shapes = (3, 5), (1,), (7, 2, 2)
    real = np.dtype(np.float64)
    memory = Memory(real, shapes)
    arrays = memory.arrays
    for number, array in enumerate(arrays):
        array[...] = number
        assert array.ctypes.data % LINE == 0
    for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        assert array.shape == shape
        assert (array == number).all()


def test_what_is_left_is_taken_again() -> None:
    first = Memory(REAL, [(100,)])
    place = first.arrays[0].ctypes.data
    del first
    assert Memory(REAL, [(110,)]).arrays[0].ctypes.data == place


def test_other_arrays_can_be_made_of_it() -> None:
    Memory(REAL, [(100,)])
    memory = Memory(np.dtype(np.float32), [(3, 2), (5,)])
    assert [array.shape for array in memory.arrays] == [(3, 2), (5,)]
    assert {array.dtype for array in memory.arrays} == {np.dtype(np.float32)}


def test_two_calculations_at_a_time_have_memory_of_their_own() -> None:
    first, second = Memory(REAL, [(100,)]), Memory(REAL, [(100,)])
    assert not np.shares_memory(first.arrays[0], second.arrays[0])


def test_large_pieces_go_back_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_memory, "LARGEST_KEPT", 500)
    Memory(REAL, [(100,)])
    assert not cpu_memory._KEPT


def test_only_some_pieces_are_kept() -> None:
    many = [Memory(REAL, [(1,)]) for _ in range(3 * cpu_memory.N_KEPT)]
    del many
    assert len(cpu_memory._KEPT) == cpu_memory.N_KEPT
