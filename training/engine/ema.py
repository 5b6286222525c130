"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averaged copies of a model's parameters; young averages forget faster."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        """`decay` per step, between 0 (no average) and 1."""
        self.decay = decay
        self.names = [name for name, _ in model.named_parameters()]
        self.averages = [p.detach().clone() for p in model.parameters()]

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`, counted from 1."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        parameters = [p.detach() for p in model.parameters()]
        torch._foreach_lerp_(self.averages, parameters, 1.0 - decay if self.decay else 1.0)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights inside the `with` block, its own ones after it."""
        parameters = [p.data for p in model.parameters()]
        own = [p.clone() for p in parameters]
        torch._foreach_copy_(parameters, self.averages)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, own)

    def state_dict(self) -> dict[str, Tensor]:
        """Averages by parameter name."""
        return dict(zip(self.names, self.averages, strict=True))

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over averages saved by `state_dict`."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(state[name])
