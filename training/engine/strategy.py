"""How a step is shared by ranks, as the trainer sees it; and the strategy of a single process.

Gradients are sums over the labels of all ranks divided by counts of all ranks, so they are added
up, never averaged, and the same step comes out on any number of ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from atomfm_calc.models.foundation import FoundationModel


class Strategy(Protocol):
    """What the trainer asks of the ranks; every method is called by all of them together."""

    rank: int
    """Of this process; 0 writes files."""
    world_size: int
    """Number of ranks."""

    def prepare(self, model: FoundationModel) -> None:
        """Leave this rank its part of a model, before a trainer is made."""

    def sum(self, values: Tensor) -> Tensor:
        """Sum of `values` over all ranks, in their precision; on all ranks."""

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks in their order; on all ranks."""

    def force_gradient(self) -> AbstractContextManager[object]:
        """Around a prediction: its gradient must leave the weights in place for the loss's own."""

    def accumulating(self, last: bool) -> AbstractContextManager[object]:
        """Around prediction and gradient of one batch of a step; `last` of this rank's batches."""

    def finish_gradients(self) -> None:
        """Wait until the gradients of all ranks are added up."""

    def norm(self, parameters: Sequence[nn.Parameter]) -> float:
        """Norm of the gradient of all parameters of all ranks, each counted once."""

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """On rank 0 all tensors of the model, those of other ranks' heads too, unsharded.

        On the CPU; nothing elsewhere. Names begin with that of the parameter or buffer.
        """

    def part_of(self, value: Tensor, like: Tensor) -> Tensor:
        """This rank's part of a whole tensor, sharded as `like` is."""


class SingleProcess:
    """One process: nothing to share."""

    rank = 0
    world_size = 1

    def prepare(self, model: FoundationModel) -> None:
        """Nothing to do."""

    def sum(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values

    def gather(self, value: Any) -> list[Any]:
        """The value alone."""
        return [value]

    def force_gradient(self) -> AbstractContextManager[object]:
        """Nothing to do."""
        return nullcontext()

    def accumulating(self, last: bool) -> AbstractContextManager[object]:
        """Nothing to do."""
        return nullcontext()

    def finish_gradients(self) -> None:
        """Nothing to wait for."""

    def norm(self, parameters: Sequence[nn.Parameter]) -> float:
        """Norm of all gradients together."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors themselves."""
        return {name: tensor.detach().cpu() for name, tensor in tensors.items()}

    def part_of(self, value: Tensor, like: Tensor) -> Tensor:
        """All of it."""
        return value.to(like.device)
