"""Memory that one calculation leaves to the next.

A system hands out large pieces of memory page by page, zeroed, and takes them back when they are
freed: for dynamics and for batches that was a fifth of the time (glibc 2.36, 60 MB for 1200 atoms).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LARGEST_KEPT = 2**28
"""Bytes of a piece that is kept; larger ones go back to the system."""
N_KEPT = 4
"""Pieces that are kept at most: forward and backward of two threads"""
RESERVE = 1.25
"""New pieces are larger than asked for, so that somewhat larger structures fit as well; memory that
is not written to costs nothing."""
LINE = 64
"""Bytes; every array begins at a multiple."""

_KEPT: deque[NDArray[np.uint8]] = deque(maxlen=N_KEPT)


class Memory:
    """A piece of memory for the arrays of one calculation, which must not outlive it."""

    def __init__(self, n_bytes: int) -> None:
        """Take a piece that was left, or a new one.

        Args:
            n_bytes: of all arrays together; each takes up to `LINE` more than its numbers.
        """
        self._free = 0
        try:
            piece = _KEPT.pop()
        except IndexError:
            piece = np.empty(0, np.uint8)
        if len(piece) < n_bytes:
            piece = np.empty(int(RESERVE * n_bytes), np.uint8)
        self._piece = piece
        self._first = -piece.ctypes.data % LINE

    @staticmethod
    def bytes_of(real: np.dtype[Any], *shapes: tuple[int, ...]) -> int:
        """Bytes that arrays of these shapes take."""
        lines = (-(-math.prod(shape) * real.itemsize // LINE) for shape in shapes)
        return LINE * (sum(lines) + 1)

    def array(self, real: np.dtype[Any], *shape: int) -> Array:
        """The next part, with whatever numbers it holds."""
        begin = self._first + self._free
        n_bytes = math.prod(shape) * real.itemsize
        self._free += -(-n_bytes // LINE) * LINE
        return self._piece[begin : begin + n_bytes].view(real).reshape(shape)

    def __del__(self) -> None:
        if len(self._piece) <= LARGEST_KEPT:
            _KEPT.append(self._piece)


def kept_bytes() -> int:
    """Bytes that wait for the next calculation."""
    return sum(len(piece) for piece in list(_KEPT))


def give_back() -> None:
    """Return to the system what waits for the next calculation."""
    _KEPT.clear()
