"""Memory that one calculation leaves to the next.

A system hands out large pieces of memory page by page, zeroed, and takes them back when they are
freed: for dynamics and for batches that was a fifth of the time (glibc 2.36, 60 MB for 1200 atoms).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
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
"""Bytes of a line of cache; every array begins at a multiple."""


class _Piece:
    """Some memory, and the arrays that were made of it last."""

    def __init__(self, n_bytes: int) -> None:
        self.memory = np.empty(n_bytes, np.uint8)
        self.kinds: Any = None
        self.arrays: list[Array] = []

    def divide(self, real: np.dtype[Any], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        """Arrays one behind the other, those of the last time if nothing else is wanted."""
        if self.kinds != (real, shapes):
            self.kinds, self.arrays = (real, shapes), []
            begin = -self.memory.ctypes.data % LINE
            for shape in shapes:
                n_bytes = math.prod(shape) * real.itemsize
                part = self.memory[begin : begin + n_bytes].view(real).reshape(shape)
                self.arrays.append(part)
                begin += -(-n_bytes // LINE) * LINE
        return self.arrays


_KEPT: deque[_Piece] = deque(maxlen=N_KEPT)


class Memory:
    """A piece of memory in which one calculation has its arrays, which must not outlive it."""

    def __init__(self, real: np.dtype[Any], shapes: Sequence[tuple[int, ...]]) -> None:
        """Take a piece that was left, or a new one, with whatever numbers it holds."""
        lines = sum(-(-math.prod(shape) * real.itemsize // LINE) for shape in shapes)
        n_bytes = LINE * (lines + 1)
        piece = _KEPT.pop() if _KEPT else None
        if piece is None or len(piece.memory) < n_bytes:
            piece = _Piece(int(RESERVE * n_bytes))
        self._piece = piece
        self.arrays = piece.divide(real, shapes)

    def __del__(self) -> None:
        if len(self._piece.memory) <= LARGEST_KEPT:
            _KEPT.append(self._piece)


def kept_bytes() -> int:
    """Bytes that wait for the next calculation."""
    return sum(len(piece.memory) for piece in list(_KEPT))


def give_back() -> None:
    """Return to the system what waits for the next calculation."""
    _KEPT.clear()
