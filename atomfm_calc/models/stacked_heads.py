"""Several energy heads of equal widths as one: batched matrix products in place of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any, cast

import torch
from torch import Tensor, nn

from atomfm_calc.kernels import Kernel
from atomfm_calc.models.heads import EnergyHead
from atomfm_calc.models.origins import Origins
from atomfm_calc.models.precision import dense_dtype

CACHED_NUMBERS = 2**17
"""Of a hidden layer of all heads that go together on a CPU: more would leave its cache (measured:
16 heads of 256-256 on 400 atoms take a third longer at once than one by one)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StackedHeads:
    """The weights of H heads side by side, layer by layer; copies, so good until one changes."""

    weights: tuple[Tensor, ...]
    """By layer: [H, width before, width after]; in memory the first has heads side by side"""
    biases: tuple[Tensor, ...]
    """By layer: [H, 1, width after]"""
    references: Tensor
    """[H, elements] eV, float64"""
    scale: Tensor
    """[H, 1] float64"""
    heads: tuple[EnergyHead, ...]
    """What was stacked"""
    parts: tuple[tuple[Any, str, nn.Module], ...]
    """Their layers, each with the table of modules that it stands in"""
    owners: tuple[tuple[Any, str], ...]
    """Where their tensors stand"""
    origins: Origins
    """The numbers that were copied"""
    kernel: Kernel
    """Computes the numbers of the heads, if it can"""
    prepared: Any
    """The weights as the kernel wants them; None: plain torch computes"""

    def atom_energies(self, scalars: Tensor, atomic_numbers: Tensor) -> Tensor:
        """What `EnergyHead.forward` gives, for every head.

        Args:
            scalars: [N, F] for all heads, or [H, N, F], each head its own.
            atomic_numbers: [N]

        Returns:
            [H, N] eV, float64.
        """
        if self.prepared is None or self.kernel.heads is None:
            raw = self._raw(scalars)
        else:
            raw = self.kernel.heads(scalars, self.prepared, self._raw)
        return self.references.index_select(1, atomic_numbers) + self.scale * raw.to(torch.float64)

    def _raw(self, scalars: Tensor) -> Tensor:
        """Numbers of the heads [H, N] in plain torch."""
        n_heads = len(self.references)
        widest = max(bias.shape[2] for bias in self.biases)
        together = CACHED_NUMBERS // max(1, widest * scalars.shape[-2])
        step = n_heads if scalars.is_cuda else min(max(1, together), n_heads)
        groups = [slice(first, first + step) for first in range(0, n_heads, step)]
        # parts of a split: the gradient of a slice is as large as what it was cut from
        own = scalars.split(step) if scalars.dim() == 3 else [scalars] * len(groups)
        parts = zip(own, groups, strict=True)
        return torch.cat([self._network(features, heads) for features, heads in parts])

    def _network(self, hidden: Tensor, heads: slice) -> Tensor:
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            if hidden.dim() == 2:  # features that the heads share: one product for all of them
                side_by_side = (
                    weight[heads].transpose(0, 1).flatten(1)
                )  # [F, heads x width], a view
                hidden = torch.addmm(bias[heads].flatten(), hidden, side_by_side)
                hidden = hidden.unflatten(1, (-1, weight.shape[2])).transpose(0, 1)
            else:
                hidden = torch.baddbmm(bias[heads], hidden, weight[heads])
            hidden = nn.functional.silu(hidden, inplace=not hidden.requires_grad)
        hidden = hidden.expand(len(self.weights[-1][heads]), -1, -1)
        # for a width of one, baddbmm takes as long as a hidden layer (MKL, torch 2.13)
        last = torch.bmm(hidden, self.weights[-1][heads]) + self.biases[-1][heads]
        return last[:, :, 0]

    def is_current(self, heads: Sequence[EnergyHead]) -> bool:
        """Whether these heads were stacked, none was written to since, and all are still frozen."""
        if len(heads) != len(self.heads) or not all(map(is_, heads, self.heads)):
            return False
        # in its table a tensor is found twenty times faster than as an attribute
        if not all(table.get(name) is part for table, name, part in self.parts):
            return False
        tensors = [table.get(name) for table, name in self.owners]
        if any(tensor is None or tensor.requires_grad for tensor in tensors):
            return False
        return self.origins.are(tensors) and all(dense_dtype(head) is None for head in heads)


def can_stack(heads: Sequence[EnergyHead]) -> bool:
    """Whether the heads are frozen, of equal widths, and compute in the precision of their weights.

    Weights that are being trained change at every step, so that stacking would not pay.
    """
    tensors = list(_tensors(heads))
    if any(tensor.requires_grad or tensor.is_inference() for tensor in tensors):
        return False
    if any(dense_dtype(head) is not None for head in heads):
        return False
    between = [
        layer for head in heads for layer in head.network if not isinstance(layer, nn.Linear)
    ]
    if not all(isinstance(layer, nn.SiLU) for layer in between):
        return False
    first, *others = [[tensor.shape for tensor in _tensors([head])] for head in heads]
    return all(shapes == first for shapes in others)


@torch.inference_mode(mode=False)
def stack(heads: Sequence[EnergyHead], kernel: Kernel) -> StackedHeads:
    """Copy the weights of heads for which `can_stack` holds side by side."""
    layers = list(zip(*(_linear_layers(head) for head in heads), strict=True))
    weights = tuple(
        torch.stack([linear.weight.detach().T for linear in layer], dim=1).transpose(0, 1)
        if number == 0
        else torch.stack([linear.weight.detach().T for linear in layer])
        for number, layer in enumerate(layers)
    )
    biases = tuple(
        torch.stack([linear.bias.detach()[None, :] for linear in layer]) for layer in layers
    )
    prepare = kernel.prepare_heads if weights[0].device.type == "cpu" else None
    owners = [
        (table, name)
        for head in heads
        for module in head.modules()
        for table in (module._parameters, module._buffers)
        for name, tensor in table.items()
        if tensor is not None
    ]
    modules = [module for head in heads for module in head.modules()]
    return StackedHeads(
        weights=weights,
        biases=biases,
        references=torch.stack([head.references for head in heads]),
        scale=torch.stack([head.scale for head in heads])[:, None],
        heads=tuple(heads),
        parts=tuple(
            (module._modules, name, part)
            for module in modules
            for name, part in module._modules.items()
            if part is not None
        ),
        owners=tuple(owners),
        origins=Origins.of(cast(Tensor, table[name]) for table, name in owners),
        kernel=kernel,
        prepared=None if prepare is None else prepare(weights, biases),
    )


def _linear_layers(head: EnergyHead) -> list[nn.Linear]:
    return [layer for layer in head.network if isinstance(layer, nn.Linear)]


def _tensors(heads: Sequence[EnergyHead]) -> chain[Tensor]:
    return chain.from_iterable(chain(head.parameters(), head.buffers()) for head in heads)
