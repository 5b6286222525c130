"""Heads: from atom features to a property of one dataset at one level of theory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from atomfm_calc.models.architecture import EnergyHeadConfig
from atomfm_calc.models.precision import dense_layers
from atomfm_calc.sample import MAX_ATOMIC_NUMBER


class EnergyHead(nn.Module):
    """Atom energy = reference energy of the element + scale x network(features).

    References and scale are float64 buffers fitted to the training data, never trained.
    """

    references: Tensor
    scale: Tensor

    def __init__(
        self,
        n_features: int,
        config: EnergyHeadConfig,
        activation: Callable[[], nn.Module] = nn.SiLU,
    ) -> None:
        """`activation` makes the function behind each hidden layer."""
        super().__init__()
        self.network = perceptron(n_features, config.hidden, 1, activation)
        zeros = torch.zeros(MAX_ATOMIC_NUMBER + 1, dtype=torch.float64)
        self.register_buffer("references", zeros)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow `.to` to another device, but keep references and scale in float64."""
        exact = {name: getattr(self, name) for name in ("references", "scale")}
        super()._apply(fn, recurse)
        for name, value in exact.items():
            setattr(self, name, value.to(getattr(self, name).device))
        return self

    @property
    def last_width(self) -> int:
        """How many numbers the last layer reads."""
        return int(self.network[-1].in_features)  # type: ignore[arg-type]

    def last_hidden(self, features: Tensor) -> Tensor:
        """What the last layer reads of features [N, F]: [N, W]."""
        with dense_layers(self):
            hidden: Tensor = self.network[:-1](features)
        return hidden

    def forward(self, scalars: Tensor, atomic_numbers: Tensor) -> Tensor:
        """Features [N, F] and elements [N] -> atom energies [N] eV, float64."""
        with dense_layers(self):
            raw = self.network(scalars)[:, 0].to(torch.float64)
        return self.references.index_select(0, atomic_numbers) + self.scale * raw


def perceptron(
    width: int,
    hidden: Sequence[int],
    n_outputs: int,
    activation: Callable[[], nn.Module] = nn.SiLU,
) -> nn.Sequential:
    """Linear layers with a function between them, with fresh weights."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), activation()]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, n_outputs))
