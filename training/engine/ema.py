"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn


class MovingAverage:
    """Averaged copies of a model's parameters; young averages forget faster.

    Parameters are gone through one by one: torch's operations on lists do not take sharded ones.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """`decay` per step, between 0 (no average) and 1."""
        self.decay = decay
        self.names = [name for name, _ in model.named_parameters()]
        self.averages = [p.detach().clone() for p in model.parameters()]

    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number `step`, counted from 1."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        for average, parameter in zip(self.averages, model.parameters(), strict=True):
            average.lerp_(parameter.detach(), 1.0 - decay if self.decay else 1.0)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights inside the `with` block, its own ones after it."""
        parameters = [p.data for p in model.parameters()]
        own = [p.clone() for p in parameters]
        for parameter, average in zip(parameters, self.averages, strict=True):
            parameter.copy_(average)
        try:
            yield
        finally:
            for parameter, before in zip(parameters, own, strict=True):
                parameter.copy_(before)

    def state_dict(self) -> dict[str, Tensor]:
        """Averages by parameter name."""
        return dict(zip(self.names, self.averages, strict=True))

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take over averages saved by `state_dict`."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(state[name])
