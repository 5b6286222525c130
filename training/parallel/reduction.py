"""Gradients of all ranks added up, in buckets that travel while the rest is still computed.

Why not `DistributedDataParallel`: it averages, wraps the module and its names, and has one group of
ranks for all parameters; here the backbone belongs to all ranks, a head to those that draw from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

BUCKET_BYTES = 25 * 2**20
"""Large enough for the network's full speed, small enough to begin before the end."""

Group = Any
"""A torch.distributed process group."""


class _Bucket:
    """Parameters whose gradients travel together."""

    def __init__(self, group: Group, parameters: Sequence[nn.Parameter]) -> None:
        self.group, self.parameters = group, list(parameters)
        self.missing = len(self.parameters)
        self.flat: Tensor | None = None
        self.work: Any = None

    def send(self) -> None:
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        self.flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self.work = torch.distributed.all_reduce(self.flat, group=self.group, async_op=True)

    def receive(self) -> None:
        assert self.flat is not None
        self.work.wait()
        sizes = [parameter.numel() for parameter in self.parameters]
        for parameter, part in zip(self.parameters, self.flat.split(sizes), strict=True):
            parameter.grad = part.reshape(parameter.shape)
        self.missing, self.flat, self.work = len(self.parameters), None, None


class GradientSum:
    """Sums of gradients over the ranks that share each parameter.

    Buckets are sent in one fixed order, whenever all gradients of a bucket and of those before it
    are there: the order of collectives must be the same on all ranks.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], groups: Mapping[str, Group]) -> None:
        """Watch the parameters' gradients.

        Args:
            parameters: by name, in the order in which the model uses them.
            groups: process group of each; a group of one rank needs no sum and is left out.
        """
        self.sending = False
        """Whether the gradients that come now are the last of the step."""
        self.buckets: list[_Bucket] = []
        self._bucket_of: dict[int, _Bucket] = {}
        self._next = 0
        pending: dict[Any, list[nn.Parameter]] = {}
        # the last layers have their gradients first
        for name in reversed(list(parameters)):
            if name in groups and parameters[name].requires_grad:
                pending.setdefault(groups[name], []).append(parameters[name])
        for group, members in pending.items():
            self._fill(group, members)
        for bucket in self.buckets:
            for parameter in bucket.parameters:
                self._bucket_of[id(parameter)] = bucket
                parameter.register_post_accumulate_grad_hook(self._arrived)

    def finish(self) -> None:
        """Send what is left, wait for all sums, put them in place."""
        while self._next < len(self.buckets):
            self._send_next()
        for bucket in self.buckets:
            bucket.receive()
        self._next, self.sending = 0, False

    def _fill(self, group: Group, members: Sequence[nn.Parameter]) -> None:
        chosen: list[nn.Parameter] = []
        for parameter in members:
            chosen.append(parameter)
            if sum(p.numel() * p.element_size() for p in chosen) >= BUCKET_BYTES:
                self.buckets.append(_Bucket(group, chosen))
                chosen = []
        if chosen:
            self.buckets.append(_Bucket(group, chosen))

    def _arrived(self, parameter: nn.Parameter) -> None:
        if not self.sending:
            return
        self._bucket_of[id(parameter)].missing -= 1
        while self._next < len(self.buckets) and self.buckets[self._next].missing == 0:
            self._send_next()

    def _send_next(self) -> None:
        self.buckets[self._next].send()
        self._next += 1
