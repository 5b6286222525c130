"""What was computed from frozen weights, and whether they still are what they were."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Origins(NamedTuple):
    """The weights that something was made of: tables, copies side by side.

    To look at addresses and counts of writes takes microseconds and no message from a GPU, unlike
    a comparison of the numbers. A write through `.data` is seen by nobody, here as in autograd.
    """

    tensors: tuple[Tensor, ...]
    """Held, so that no other tensor can come to lie at the same address"""
    versions: tuple[int, ...] | None
    """How often each had been written to; None: tensors of inference mode, which do not count"""

    @classmethod
    @torch.inference_mode(mode=False)
    def of(cls, tensors: Iterable[Tensor]) -> Origins:
        """Remember tensors, without a copy."""
        held = tuple(tensor.detach() for tensor in tensors)
        return cls(held, _versions(held))

    def are(self, present: Iterable[Tensor]) -> bool:
        """Whether these are the tensors that were remembered, and none was written to since."""
        given = tuple(present)
        return (
            self.versions is not None
            and len(given) == len(self.tensors)
            and all(map(_same_memory, given, self.tensors))
            and _versions(given) == self.versions
        )


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
