"""Memory that is used again."""

from __future__ import annotations

import numpy as np
import pytest

from atomfm_calc.kernels import cpu_memory
from atomfm_calc.kernels.cpu_memory import LINE, Memory


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    cpu_memory._KEPT.clear()


def test_arrays_do_not_overlap_and_begin_at_lines() -> None:
    shapes = (3, 5), (1,), (7, 2, 2)
    real = np.dtype(np.float64)
    memory = Memory(Memory.bytes_of(real, *shapes))
    arrays = [memory.array(real, *shape) for shape in shapes]
    for number, array in enumerate(arrays):
        array[...] = number
        assert array.ctypes.data % LINE == 0
    for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        assert array.shape == shape
        assert (array == number).all()


def test_what_is_left_is_taken_again() -> None:
    first = Memory(1000)
    place = first._piece.ctypes.data
    del first
    assert Memory(1100)._piece.ctypes.data == place


def test_two_calculations_at_a_time_have_memory_of_their_own() -> None:
    first, second = Memory(1000), Memory(1000)
    assert first._piece.ctypes.data != second._piece.ctypes.data


def test_large_pieces_go_back_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_memory, "LARGEST_KEPT", 500)
    Memory(1000)
    assert not cpu_memory._KEPT


def test_only_some_pieces_are_kept() -> None:
    many = [Memory(10) for _ in range(3 * cpu_memory.N_KEPT)]
    del many
    assert len(cpu_memory._KEPT) == cpu_memory.N_KEPT
