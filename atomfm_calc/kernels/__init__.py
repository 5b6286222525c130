"""Message-passing kernels by name; `reference` (plain torch) defines the result of all."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from atomfm_calc.kernels import reference

PainnMessages = Callable[
    [Tensor, Tensor | None, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]
]
"""The signature of `reference.painn_messages`."""

KERNELS: dict[str, PainnMessages] = {"reference": reference.painn_messages}
