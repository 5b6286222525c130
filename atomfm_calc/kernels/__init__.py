"""Message-passing kernels by name; `reference` (plain torch) defines the result of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from atomfm_calc.kernels import reference

PainnMessages = Callable[[Tensor, Tensor | None, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""The signature of `reference.painn_messages`."""


def _painn_messages_cpu(*tensors: Any) -> tuple[Tensor, Tensor]:
    from atomfm_calc.kernels import cpu  # here, so that Numba is imported by the first use only

    return cpu.painn_messages(*tensors)


KERNELS: dict[str, PainnMessages] = {
    "reference": reference.painn_messages,
    "cpu": _painn_messages_cpu,
}


def best_kernel(device_type: str) -> str:
    """The fastest kernel for a device: "cpu" there, "reference" (plain torch) elsewhere."""
    return "cpu" if device_type == "cpu" else "reference"
