"""Reduced precision where it is safe: the dense layers of atoms, and nothing else.

Positions, distances, radial filters (forces are their derivatives), sums over neighbors, references
and energies keep the precision of the weights and above.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

DENSE_DTYPE = "dense_dtype"
"""Attribute of modules whose dense layers compute in another precision than their weights."""


def set_dense_dtype(model: nn.Module, dtype: torch.dtype | None) -> None:
    """Let all dense layers of `model` compute in `dtype`, bfloat16; None: that of their weights."""
    for module in model.modules():
        setattr(module, DENSE_DTYPE, dtype)


def dense_dtype(module: nn.Module) -> torch.dtype | None:
    """What `set_dense_dtype` gave to a module; None: its dense layers compute as its weights."""
    dtype: torch.dtype | None = getattr(module, DENSE_DTYPE, None)
    return dtype


def dense_layers(module: nn.Module) -> AbstractContextManager[object]:
    """Inside, linear layers compute in the precision that `set_dense_dtype` gave to `module`."""
    dtype = dense_dtype(module)
    if dtype is None:
        return nullcontext()
    return torch.autocast(next(module.parameters()).device.type, dtype=dtype, cache_enabled=False)


@contextmanager
def matrix_products(device: torch.device, *, tf32: bool) -> Iterator[None]:
    """Inside, products of float32 matrices on a CUDA device are in TF32, or are not.

    TF32 has the range of float32 and 10 bits behind the point. torch knows it as a switch of the
    whole process: other threads see it while it is on; afterwards it is what it was.
    """
    if device.type != "cuda":
        yield
        return
    switch = torch.backends.cuda.matmul
    if not hasattr(switch, "fp32_precision"):  # torch < 2.9
        before = switch.allow_tf32
        switch.allow_tf32 = tf32
        try:
            yield
        finally:
            switch.allow_tf32 = before
        return
    precision = switch.fp32_precision
    switch.fp32_precision = "tf32" if tf32 else "ieee"
    try:
        yield
    finally:
        switch.fp32_precision = "none"  # an inherited value is read as if it were an own one
        if switch.fp32_precision != precision:
            switch.fp32_precision = precision


@contextmanager
def one_order(wanted: bool) -> Iterator[None]:
    """Inside, if wanted, torch adds up in one order and gives the same bits again.

    A switch of the whole process, as above, that is put back. CPUs always do; on CUDA devices it
    costs time, and torch asks for the variable CUBLAS_WORKSPACE_CONFIG=:4096:8.
    """
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=lenient)
