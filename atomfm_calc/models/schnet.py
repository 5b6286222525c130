"""SchNet: continuous-filter convolutions.

Schütt et al., "SchNet: A continuous-filter convolutional neural network for modeling quantum
interactions", NeurIPS 2017 (arXiv 1706.08566), figure 2. The interaction block is that of
torch_geometric; distances come from the graph, so periodic images are neighbors like all others.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch_geometric.nn.models.schnet import GaussianSmearing, InteractionBlock

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.backbone import Backbone, near_edges
from atomfm_calc.models.family_sizes import SchnetConfig
from atomfm_calc.models.painn import FRESH_FILTER_SCALE, AtomFeatures


class Schnet(Backbone):
    """Element embedding, then interaction blocks whose filters depend on distances."""

    def __init__(self, config: SchnetConfig) -> None:
        width = config.n_features
        super().__init__(width, config.cutoff, width, config.conditioning)
        self.smearing = GaussianSmearing(0.0, config.cutoff, config.n_gaussians)
        self.interactions = nn.ModuleList(
            InteractionBlock(config.n_features, config.n_gaussians, config.n_filters, config.cutoff)
            for _ in range(config.n_layers)
        )
        with torch.no_grad():
            for block in self.interactions:
                del block.mlp  # a second name of conv.nn, which no model file may have
                last = cast(nn.Linear, cast(InteractionBlock, block).conv.nn[2])
                last.weight.mul_(FRESH_FILTER_SCALE)

    @property
    def blocks(self) -> list[nn.Module]:
        """The interaction blocks."""
        return list(self.interactions)

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Scalars [N, F] of every atom; SchNet has no vectors."""
        edges = near_edges(graph, self.cutoff)
        flow = edges.flow
        expanded = self.smearing(edges.distances)  # [E, G]
        s: Tensor = self.embedding(graph)
        for block in self.interactions:
            s = s + self.run(block, s, flow, edges.distances, expanded)
        return AtomFeatures(scalars=s, vectors=None)
