"""PNAEq: PaiNN whose scalar messages are gathered by principal neighborhood aggregation.

Aggregators and scalers: Corso, Cavalleri, Beaini, Liò, Veličković, "Principal neighbourhood
aggregation for graph nets", NeurIPS 2020 (arXiv 2004.05718), eqs. 1 to 6; messages and updates:
Schütt et al. (see `painn`).

Mean, deviation, maximum, minimum and degree of the paper jump when a neighbor enters: energies
would not be continuous. Here every neighbor counts as much as the cutoff function of its distance,
the extremes are smooth (log of the mean exponential), and one neighbor that says nothing is always
there, so that the mean of few is near the mean of none. Hence not torch_geometric's aggregators.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels.scatter import gather, sum_to_rows
from atomfm_calc.models.backbone import Backbone, NearEdges, near_edges
from atomfm_calc.models.family_sizes import PnaeqConfig
from atomfm_calc.models.painn import FRESH_FILTER_SCALE, AtomFeatures, Update
from atomfm_calc.models.radial import bessel_basis, cosine_cutoff

N_AGGREGATORS = 4
N_SCALERS = 3


def aggregate(messages: Tensor, weights: Tensor, center: Tensor, n_atoms: int) -> Tensor:
    """Mean, standard deviation, smooth maximum and smooth minimum over neighbors.

    Args:
        messages: [E, F]
        weights: [E, 1], the cutoff function.
        center: [E]
        n_atoms: N

    Returns:
        [N, 4F]; zeros, and a deviation near zero, for an atom without neighbors.
    """
    count = 1.0 + sum_to_rows(weights, center, n_atoms)  # [N, 1], the silent neighbor included
    mean = sum_to_rows(weights * messages, center, n_atoms) / count
    square = sum_to_rows(weights * messages * messages, center, n_atoms) / count
    deviation = torch.sqrt((square - mean * mean).clamp(min=0.0) + 1e-6)
    highest = _smooth_maximum(messages, weights, count, center)
    lowest = -_smooth_maximum(-messages, weights, count, center)
    return torch.cat([mean, deviation, highest, lowest], dim=1)


def _smooth_maximum(messages: Tensor, weights: Tensor, count: Tensor, center: Tensor) -> Tensor:
    """log of the weighted mean of exp(messages) over neighbors: [N, F]."""
    with torch.no_grad():  # any offset gives the same value; the largest avoids overflow
        nothing = messages.new_zeros((count.shape[0], messages.shape[1]))
        row = center[:, None].expand_as(messages)
        offset = nothing.scatter_reduce(0, row, messages, "amax", include_self=True)
    exponentials = weights * torch.exp(messages - gather(offset, center))
    total = torch.exp(-offset) + sum_to_rows(exponentials, center, count.shape[0])
    return torch.log(total / count) + offset


class PnaMessage(nn.Module):
    """PaiNN's message block with aggregated scalars."""

    def __init__(self, width: int, n_radial: int, typical_neighbors: float) -> None:
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3 * width))
        self.radial_filter = nn.Linear(n_radial, 3 * width)
        self.combine = nn.Linear(N_AGGREGATORS * N_SCALERS * width, width)
        self.delta = float(torch.log(torch.tensor(typical_neighbors + 2.0)))
        with torch.no_grad():
            self.radial_filter.weight.mul_(FRESH_FILTER_SCALE)
            self.radial_filter.bias.mul_(FRESH_FILTER_SCALE)

    def forward(
        self, s: Tensor, v: Tensor, edges: NearEdges, basis: Tensor, envelope: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Changes of the scalars [N, F] and vectors [N, 3, F].

        Args:
            s: [N, F]
            v: [N, 3, F]
            edges: inside the cutoff.
            basis: [E, R] radial functions of the distances.
            envelope: [E, 1] cutoff function of the distances.
        """
        n_atoms = s.shape[0]
        x = gather(self.phi(s), edges.neighbor) * self.radial_filter(basis)  # [E, 3F]
        scalar, with_vector, along = x.chunk(3, dim=1)
        gathered = aggregate(scalar, envelope, edges.center, n_atoms)  # [N, 4F]
        degree = torch.log(2.0 + sum_to_rows(envelope, edges.center, n_atoms)) / self.delta
        scaled = torch.cat([gathered, gathered * degree, gathered / degree], dim=1)
        direction = (edges.vectors / edges.distances[:, None])[:, :, None]
        turned = with_vector[:, None, :] * gather(v, edges.neighbor) + along[:, None] * direction
        return self.combine(scaled), sum_to_rows(
            envelope[:, :, None] * turned, edges.center, n_atoms
        )


class Pnaeq(Backbone):
    """Element embedding, then alternating messages and updates."""

    def __init__(self, config: PnaeqConfig) -> None:
        width = config.n_features
        super().__init__(width, config.cutoff, width, config.conditioning)
        self.config = config
        self.message_blocks = nn.ModuleList(
            PnaMessage(config.n_features, config.n_radial, config.typical_neighbors)
            for _ in range(config.n_layers)
        )
        self.update_blocks = nn.ModuleList(
            Update(config.n_features, config.norm_offset) for _ in range(config.n_layers)
        )

    @property
    def blocks(self) -> list[nn.Module]:
        """Message and update blocks in the order of use."""
        pairs = zip(self.message_blocks, self.update_blocks, strict=True)
        return [block for pair in pairs for block in pair]

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Scalars [N, F] and vectors [N, 3, F] of every atom."""
        edges = near_edges(graph, self.cutoff)
        envelope = cosine_cutoff(edges.distances, self.cutoff)[:, None]
        basis = bessel_basis(edges.distances, self.config.n_radial, self.cutoff)
        s: Tensor = self.embedding(graph)
        v = s.new_zeros((s.shape[0], 3, s.shape[1]))
        for message, update in zip(self.message_blocks, self.update_blocks, strict=True):
            ds, dv = self.run(message, s, v, edges, basis, envelope)
            s, v = s + ds, v + dv
            ds, dv = self.run(update, s, v)
            s, v = s + ds, v + dv
        return AtomFeatures(scalars=s, vectors=v)
