"""Low-rank additions to frozen linear layers (LoRA), merged into plain weights at the end.

Hu et al., ICLR 2022 (arXiv 2106.09685): W + (alpha / r) B A, with B zero at the beginning, so that
the adapted model starts as the pretrained one. Here alpha is the rank: the factor is 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """W -> W + B A."""

    def __init__(self, n_out: int, n_in: int, rank: int) -> None:
        """`rank` of the addition; at most that of the weight is used."""
        super().__init__()
        rank = min(rank, n_out, n_in)
        self.down = nn.Parameter(torch.randn(rank, n_in) / n_in**0.5)  # A
        self.up = nn.Parameter(torch.zeros(n_out, rank))  # B

    def forward(self, weight: Tensor) -> Tensor:
        """[out, in] -> [out, in]."""
        return weight + self.up @ self.down


def add_low_rank(module: nn.Module, rank: int) -> int:
    """Freeze `module` and give each of its linear layers an addition that can be trained.

    Whoever reads `layer.weight` reads the sum, kernels included.

    Args:
        module: a backbone; changed in place.
        rank: of the additions.

    Returns:
        the number of parameters that are trained.
    """
    module.requires_grad_(False)
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for layer in linear:
        n_out, n_in = layer.weight.shape
        addition = LowRank(n_out, n_in, rank).to(layer.weight)
        parametrize.register_parametrization(layer, "weight", addition)
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def merge_low_rank(module: nn.Module) -> None:
    """Write the sums into plain weights, with the names that they had; nothing else changes."""
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
