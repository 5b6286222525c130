"""What the message-passing families share: edges inside the cutoff, element embedding, blocks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.models.conditioning import ElectronicEmbedding
from atomfm_calc.models.family_sizes import Conditioning
from atomfm_calc.sample import MAX_ATOMIC_NUMBER


class NearEdges(NamedTuple):
    """The edges of a graph that are shorter than the cutoff, in the graph's order."""

    center: Tensor
    """[E] int64"""
    neighbor: Tensor
    """[E] int64"""
    vectors: Tensor
    """[E, 3] Å, from center to neighbor"""
    distances: Tensor
    """[E] Å"""
    shift: Tensor
    """[E, 3] whole cells"""

    @property
    def flow(self) -> Tensor:
        """[2, E] in the order of torch_geometric and MACE: from neighbor, to center."""
        return torch.stack([self.neighbor, self.center])


def near_edges(graph: AtomicGraph, cutoff: float) -> NearEdges:
    """Leave out what a neighbor list with a skin has beyond the cutoff (Å).

    Building blocks of libraries do not: a cosine cutoff, for one, rises again behind it.
    """
    vectors = edge_vectors(graph)
    distances = torch.linalg.vector_norm(vectors, dim=1)
    inside = (distances < cutoff).nonzero()[:, 0]
    center, neighbor = graph.edge_index.index_select(1, inside).unbind(0)
    return NearEdges(
        center=center,
        neighbor=neighbor,
        vectors=vectors.index_select(0, inside),
        distances=distances.index_select(0, inside),
        shift=graph.edge_shift.index_select(0, inside),
    )


class ElementEmbedding(nn.Module):
    """Features of an element and, if wanted, of the structure's charge and multiplicity."""

    def __init__(self, n_features: int, conditioning: Conditioning) -> None:
        super().__init__()
        self.elements = nn.Embedding(MAX_ATOMIC_NUMBER + 1, n_features)
        wanted = conditioning == "charge_multiplicity"
        self.electronic = ElectronicEmbedding(n_features) if wanted else None

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Features of every atom [N, F]."""
        features: Tensor = self.elements(graph.atomic_numbers)
        if self.electronic is None:
            return features
        return features + self.electronic(features, graph)


class Backbone(nn.Module):
    """A family: has a width and a cutoff, and runs blocks that can be computed again.

    Children call `run` for each of their `blocks`, so that memory can be traded for time.
    """

    def __init__(
        self, n_features: int, cutoff: float, width: int, conditioning: Conditioning
    ) -> None:
        """A family with its element embedding.

        Args:
            n_features: width of the scalars it gives.
            cutoff: Å.
            width: of the embedding.
            conditioning: what besides the elements is embedded.
        """
        super().__init__()
        self.n_features = n_features
        self.cutoff = cutoff
        self.embedding = ElementEmbedding(width, conditioning)
        self.pools = False
        """Whether energy heads read pooled features; then atoms have no energies."""
        self.recompute = False
        """Whether blocks are computed again for each derivative instead of kept in memory."""

    @property
    def electronic(self) -> ElectronicEmbedding | None:
        """The embedding of charge and multiplicity; None without conditioning."""
        return self.embedding.electronic

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts that are sharded and recomputed one by one, in the order of use."""
        raise NotImplementedError(f"{type(self).__name__} names no blocks")

    def run(self, block: nn.Module, *inputs: Any) -> Any:
        """What `block` makes of the inputs; kept, or computed again in each derivative."""
        if self.recompute:
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)
