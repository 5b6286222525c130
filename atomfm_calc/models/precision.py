"""Reduced precision where it is safe: the dense layers of atoms, and nothing else.

Positions, distances, radial filters (forces are their derivatives), sums over neighbors, references
and energies keep the precision of the weights and above.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

DENSE_DTYPE = "dense_dtype"
"""Attribute of modules whose dense layers compute in another precision than their weights."""


def set_dense_dtype(model: nn.Module, dtype: torch.dtype | None) -> None:
    """Let all dense layers of `model` compute in `dtype`, bfloat16; None: that of their weights."""
    for module in model.modules():
        setattr(module, DENSE_DTYPE, dtype)


def dense_layers(module: nn.Module) -> AbstractContextManager[object]:
    """Inside, linear layers compute in the precision that `set_dense_dtype` gave to `module`."""
    dtype = getattr(module, DENSE_DTYPE, None)
    if dtype is None:
        return nullcontext()
    return torch.autocast(next(module.parameters()).device.type, dtype=dtype, cache_enabled=False)
