"""Conditioning on total charge and multiplicity, after SpookyNet's electronic embedding.

Unke et al., Nat. Commun. 12, 7273 (2021), eqs. 9 and 10: the extra electrons (or holes, or unpaired
electrons) are shared among the atoms by a smooth weight, so nothing depends on the order of
atoms and the shares of one structure add up to the whole. A neutral singlet gets exactly zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph, sum_to_structures

CHANNELS = ("electrons missing", "electrons added", "unpaired electrons")


class ElectronicEmbedding(nn.Module):
    """Per-atom features of the charge and the number of unpaired electrons."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(n_features, len(CHANNELS))
        self.express = nn.ModuleList(
            nn.Sequential(
                nn.Linear(n_features + 1, n_features, bias=False),
                nn.SiLU(),
                nn.Linear(n_features, n_features, bias=False),
            )
            for _ in CHANNELS
        )

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Element features [N, F] -> features to be added [N, F], zero for a neutral singlet."""
        if scalars.device.type == "cpu" and self._has_nothing_to_add(graph):
            return torch.zeros_like(scalars)
        counts = torch.stack(
            [graph.charge.clamp(min=0), (-graph.charge).clamp(min=0), graph.multiplicity - 1], dim=1
        ).to(scalars.dtype)  # [S, 3]
        weights = nn.functional.softplus(self.weigh(scalars))  # [N, 3]
        total = sum_to_structures(weights, graph)
        shares = weights * (counts / total).index_select(0, graph.batch)  # [N, 3]
        result = torch.zeros_like(scalars)
        for channel, express in enumerate(self.express):
            share = shares[:, channel : channel + 1]
            expressed = express(torch.cat([scalars, share], dim=1))
            result = result + share * expressed
        return result

    def _has_nothing_to_add(self, graph: AtomicGraph) -> bool:
        """Whether all are neutral singlets, and no weight is to get its gradient of zero."""
        if bool(graph.charge.any()) or bool((graph.multiplicity != 1).any()):
            return False
        return not any(parameter.requires_grad for parameter in self.parameters())
