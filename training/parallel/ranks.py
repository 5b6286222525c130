"""What every strategy of several ranks does in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from atomfm_calc.models.foundation import FoundationModel
from training.parallel.reduction import GradientSum, Group

HEADS = "heads."
"""Beginning of the names of a head's parameters and buffers, before the head's own name."""


class Ranks:
    """A model on several ranks; the strategies differ in who has which part of it."""

    def __init__(self, owners: Mapping[str, Sequence[int]]) -> None:
        """Join the process group that exists already.

        Args:
            owners: head -> the ranks that have it, in order; all heads of the run in their order.
        """
        self.rank = torch.distributed.get_rank()
        self.world_size = torch.distributed.get_world_size()
        self.owners = {name: tuple(ranks) for name, ranks in owners.items()}
        self._world: Group = torch.distributed.group.WORLD
        # every rank takes part in making every group, its own or not
        self._groups: dict[tuple[int, ...], Group] = {tuple(range(self.world_size)): self._world}
        for ranks in self.owners.values():
            if ranks not in self._groups:
                self._groups[ranks] = torch.distributed.new_group(list(ranks))
        self._sum: GradientSum | None = None
        self._first_rank: dict[int, int] = {}

    def prepare(self, model: FoundationModel) -> None:
        """Leave this rank its part of a model, before an optimizer is made."""
        self._drop_heads(model)
        self._watch(model)

    def _drop_heads(self, model: FoundationModel) -> None:
        for name, ranks in self.owners.items():
            if self.rank not in ranks:
                model.drop_head(name)

    def _watch(self, model: FoundationModel) -> None:
        """Add up the gradients of all parameters that several ranks have whole copies of."""
        parameters = dict(model.named_parameters())
        self._first_rank = {id(p): self._ranks_of(name)[0] for name, p in parameters.items()}
        groups = {name: self._groups[self._ranks_of(name)] for name in parameters}
        shared = {
            name: group
            for name, group in groups.items()
            if len(self._ranks_of(name)) > 1 and not isinstance(parameters[name], DTensor)
        }
        self._sum = GradientSum(parameters, shared)

    def sum(self, values: Tensor) -> Tensor:
        """Sum of `values` over all ranks."""
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks in their order."""
        values: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(values, value)
        return values

    def force_gradient(self) -> AbstractContextManager[object]:
        """Nothing to do: all weights are here."""
        return nullcontext()

    def accumulating(self, last: bool) -> AbstractContextManager[object]:
        """Send gradients as they come from the last batch on."""
        if self._sum is not None:
            self._sum.sending = last
        return nullcontext()

    def finish_gradients(self) -> None:
        """Wait until the gradients of all ranks are added up."""
        if self._sum is not None:
            self._sum.finish()

    def norm(self, parameters: Sequence[nn.Parameter]) -> float:
        """Norm of the gradient of all parameters of all ranks, each counted once."""
        squares = torch.zeros(1, dtype=torch.float64, device=parameters[0].device)
        for parameter in parameters:
            gradient = parameter.grad
            if gradient is None:
                continue
            if isinstance(gradient, DTensor):
                squares += gradient.to_local().to(torch.float64).square().sum()
            elif self.rank == self._first_rank[id(parameter)]:
                squares += gradient.to(torch.float64).square().sum()
        return float(self.sum(squares).sqrt())

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """On rank 0 all tensors of the model, those of other ranks' heads too, unsharded."""
        own = {
            name: (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()
            for name, tensor in tensors.items()
        }
        for head, ranks in self.owners.items():
            if 0 not in ranks:
                self._send_head(own, head, ranks[0])
        return {name: tensor.cpu() for name, tensor in own.items()} if self.rank == 0 else {}

    def part_of(self, value: Tensor, like: Tensor) -> Tensor:
        """This rank's part of a whole tensor, sharded as `like` is."""
        value = value.to(like.device)
        if not isinstance(like, DTensor):
            return value
        # every rank has read the whole tensor: each takes its own part, nothing is sent
        return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)

    def _send_head(self, tensors: dict[str, Tensor], head: str, owner: int) -> None:
        """Bring the tensors of a head from the rank `owner` to rank 0."""
        names = [name for name in tensors if self._head_of(name) == head]
        shapes = [{name: (tensors[name].shape, tensors[name].dtype) for name in names}]
        if self.rank not in (0, owner):
            return
        device = next(iter(tensors.values())).device
        if self.rank == owner:
            torch.distributed.send_object_list(shapes, dst=0)
            for name in names:
                torch.distributed.send(tensors[name].to(device).contiguous(), dst=0)
        else:
            torch.distributed.recv_object_list(shapes, src=owner)
            for name, (shape, dtype) in shapes[0].items():
                tensors[name] = torch.empty(shape, dtype=dtype, device=device)
                torch.distributed.recv(tensors[name], src=owner)

    def _head_of(self, name: str) -> str | None:
        return name.removeprefix(HEADS).split(".")[0] if name.startswith(HEADS) else None

    def _ranks_of(self, name: str) -> tuple[int, ...]:
        """The ranks that have a parameter."""
        head = self._head_of(name)
        return tuple(range(self.world_size)) if head is None else self.owners[head]
