"""HydraGNN's ways of telling a network the total charge and the multiplicity of a structure.

Both enter as plain numbers, (0, 1) for a neutral singlet, so that a neutral singlet is not left
unchanged as it is by `ElectronicEmbedding`, and every atom is told the whole charge.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.precision import dense_layers

N_ATTRIBUTES = 2
"""Charge in e, multiplicity 2S+1."""


def graph_attributes(graph: AtomicGraph, dtype: torch.dtype) -> Tensor:
    """Charge and multiplicity of each structure: [S, 2]."""
    return torch.stack([graph.charge, graph.multiplicity], dim=1).to(dtype)


class Conditioning(nn.Module):
    """No conditioning at all; the parent of those that there are."""

    def __init__(self, n_features: int, activation: Callable[[], nn.Module]) -> None:
        """`n_features`: H of the scalars; `activation` makes the functions between layers."""
        super().__init__()

    def of_atoms(self, s: Tensor, graph: AtomicGraph) -> Tensor:
        """Scalars [N, H] behind a layer, before its activation function -> conditioned ones."""
        return s

    def of_structures(self, pooled: Tensor, graph: AtomicGraph) -> Tensor:
        """Pooled scalars [S, H] -> conditioned ones."""
        return pooled


class ConcatenateToAtoms(Conditioning):
    """Mode "concat_node": a linear layer, shared by all layers, reads scalars and attributes."""

    def __init__(self, n_features: int, activation: Callable[[], nn.Module]) -> None:
        """As the parent."""
        super().__init__(n_features, activation)
        self.project = nn.Linear(n_features + N_ATTRIBUTES, n_features)

    def of_atoms(self, s: Tensor, graph: AtomicGraph) -> Tensor:
        """As the parent's."""
        attributes = graph_attributes(graph, s.dtype).index_select(0, graph.batch)
        with dense_layers(self):
            result: Tensor = self.project(torch.cat([s, attributes], dim=1))
        return result.to(s.dtype)


class ScaleAndShift(Conditioning):
    """Mode "film": a small network of the attributes scales, by 0 to 2, and shifts the scalars."""

    def __init__(self, n_features: int, activation: Callable[[], nn.Module]) -> None:
        """As the parent."""
        super().__init__(n_features, activation)
        hidden = max(n_features, N_ATTRIBUTES)
        self.network = nn.Sequential(
            nn.Linear(N_ATTRIBUTES, hidden), activation(), nn.Linear(hidden, 2 * n_features)
        )

    def of_atoms(self, s: Tensor, graph: AtomicGraph) -> Tensor:
        """As the parent's."""
        with dense_layers(self):
            both = self.network(graph_attributes(graph, s.dtype)).to(s.dtype)  # [S, 2H]
        scale, shift = both.index_select(0, graph.batch).chunk(2, dim=1)
        return s * (1.0 + torch.tanh(scale)) + shift


class FuseIntoPooled(Conditioning):
    """Mode "fuse_pool": a small network reads pooled scalars and attributes."""

    def __init__(self, n_features: int, activation: Callable[[], nn.Module]) -> None:
        """As the parent."""
        super().__init__(n_features, activation)
        self.network = nn.Sequential(
            nn.Linear(n_features + N_ATTRIBUTES, n_features),
            activation(),
            nn.Linear(n_features, n_features),
        )

    def of_structures(self, pooled: Tensor, graph: AtomicGraph) -> Tensor:
        """As the parent's."""
        with dense_layers(self):
            both = torch.cat([pooled, graph_attributes(graph, pooled.dtype)], dim=1)
            result: Tensor = self.network(both)
        return result.to(pooled.dtype)


CONDITIONINGS: dict[str, Callable[[int, Callable[[], nn.Module]], Conditioning]] = {
    "none": Conditioning,
    "concat_node": ConcatenateToAtoms,
    "film": ScaleAndShift,
    "fuse_pool": FuseIntoPooled,
}
"""By HydraGNN's `graph_attr_conditioning_mode`; "none" where that is switched off."""
