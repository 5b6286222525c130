"""Sharded weights (FSDP2): every rank keeps a part of each, and gathers a block when it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import cast

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from atomfm_calc.models.foundation import FoundationModel
from training.parallel.ranks import Ranks


class ShardedRanks(Ranks):
    """The backbone is sharded over all ranks; heads too if all ranks have all of them."""

    def __init__(self, owners: Mapping[str, Sequence[int]]) -> None:
        super().__init__(owners)
        self._roots: list[FSDPModule] = []
        """Outermost sharded modules."""

    def prepare(self, model: FoundationModel) -> None:
        """Leave this rank its part of a model, before an optimizer is made."""
        self._drop_heads(model)
        device = next(model.parameters()).device
        mesh = init_device_mesh(device.type, (self.world_size,))
        everywhere = all(len(ranks) == self.world_size for ranks in self.owners.values())
        for block in cast(list[nn.Module], model.backbone.blocks):
            fully_shard(block, mesh=mesh)
        roots = [model.backbone, *(model.heads.values() if everywhere else ())]
        self._roots = [fully_shard(root, mesh=mesh) for root in roots]
        for module in model.modules():
            if isinstance(module, FSDPModule):
                # gradients are added up, not averaged; without the second line gloo is asked for a
                # sum with a factor, which it does not have (torch 2.13)
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)
        self._watch(model)

    @contextmanager
    def _weights_stay(self) -> Iterator[None]:
        for root in self._roots:
            root.set_reshard_after_backward(False)
        yield
        for root in self._roots:
            root.set_reshard_after_backward(True)

    def force_gradient(self) -> AbstractContextManager[object]:
        """Keep gathered weights after the gradient that gives the forces.

        The loss's own gradient goes through the same layers again; FSDP would have freed them
        (torch 2.13).
        """
        return self._weights_stay()

    def accumulating(self, last: bool) -> AbstractContextManager[object]:
        """Add up gradients over the ranks with the last batch only."""
        for root in self._roots:
            root.set_requires_gradient_sync(last)
            root.set_is_last_backward(last)
        return super().accumulating(last)
