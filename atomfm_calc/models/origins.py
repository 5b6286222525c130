"""What was computed from frozen weights, and whether they still are what they were."""

from __future__ import annotations

from collections.abc import Iterable
from operator import eq, is_
from typing import NamedTuple

import torch
from torch import Tensor


class Origins(NamedTuple):
    """The weights that something was made of: tables, copies side by side.

    To look at addresses and counts of writes takes microseconds and no message from a GPU, unlike
    a comparison of the numbers. A write through `.data` is seen by nobody, here as in autograd.
    """

    tensors: tuple[Tensor, ...]
    """As they were given"""
    memory: tuple[Tensor, ...]
    """Their memory, held, so that no other tensor can come to lie at the same address"""
    places: tuple[int, ...]
    """The addresses"""
    versions: tuple[int, ...] | None
    """How often each had been written to; None: tensors of inference mode, which do not count"""

    @classmethod
    @torch.inference_mode(mode=False)
    def of(cls, tensors: Iterable[Tensor]) -> Origins:
        """Remember tensors, without a copy."""
        given = tuple(tensors)
        memory = tuple(tensor.detach() for tensor in given)
        places = tuple(tensor.data_ptr() for tensor in given)
        return cls(given, memory, places, _versions(memory))

    def are(self, present: Iterable[Tensor]) -> bool:
        """Whether these are the tensors that were remembered, and none was written to since."""
        given = tuple(present)
        if self.versions is None or len(given) != len(self.tensors):
            return False
        if all(map(is_, given, self.tensors)):  # the same objects: a few operations each
            same = all(map(eq, map(Tensor.data_ptr, given), self.places))
        else:
            same = all(map(_same_memory, given, self.memory))
        return same and _versions(given) == self.versions


def _versions(tensors: tuple[Tensor, ...]) -> tuple[int, ...] | None:
    if any(tensor.is_inference() for tensor in tensors):
        return None
    return tuple(tensor._version for tensor in tensors)


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return (
        one.data_ptr() == other.data_ptr()
        and one.shape == other.shape
        and one.dtype == other.dtype
        and one.device == other.device
    )
