"""DimeNet++: messages on edges that know the angles between them.

Gasteiger, Giri, Margraf, Günnemann, "Fast and uncertainty-aware directional message passing for
non-equilibrium molecules" (arXiv 2011.14115); interaction and output blocks are those of
torch_geometric. Angles are between edges, with their cell shifts, so that they are right across
periodic boundaries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.nn.models.dimenet import InteractionPPBlock, OutputPPBlock

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.backbone import Backbone, near_edges
from atomfm_calc.models.dimenet_basis import (
    bessel_norms,
    bessel_zeros,
    legendre,
    radial_functions,
    triplets,
)
from atomfm_calc.models.family_sizes import DimenetConfig
from atomfm_calc.models.painn import AtomFeatures
from atomfm_calc.models.radial import bessel_basis, polynomial_envelope

N_OUTPUT_LAYERS = 2


class EdgeEmbedding(nn.Module):
    """First message of an edge, from its two atoms and its length (arXiv 2003.03123, eq. 12)."""

    def __init__(self, width: int, n_radial: int) -> None:
        super().__init__()
        self.radial = nn.Linear(n_radial, width)
        self.message = nn.Linear(3 * width, width)

    def forward(self, atoms: Tensor, radial: Tensor, center: Tensor, neighbor: Tensor) -> Tensor:
        """Atoms [N, F] and radial functions [E, R] -> messages [E, F]."""
        act = nn.functional.silu
        pair = [atoms.index_select(0, center), atoms.index_select(0, neighbor)]
        joined = torch.cat([*pair, act(self.radial(radial))], dim=1)
        return act(self.message(joined))


class Dimenet(Backbone):
    """Edge embedding, then interactions over triplets; atoms read the edges after each."""

    def __init__(self, config: DimenetConfig) -> None:
        width = config.n_features
        super().__init__(width, config.cutoff, width, config.conditioning)
        self.config = config
        self.edge_embedding = EdgeEmbedding(config.n_features, config.n_radial)
        self.interactions = nn.ModuleList(
            InteractionPPBlock(
                config.n_features,
                config.interaction_width,
                config.basis_width,
                config.n_spherical,
                config.n_radial,
                config.n_before_skip,
                config.n_after_skip,
                nn.functional.silu,
            )
            for _ in range(config.n_layers)
        )
        self.outputs = nn.ModuleList(
            OutputPPBlock(
                config.n_radial,
                config.n_features,
                config.output_width,
                config.n_features,
                N_OUTPUT_LAYERS,
                nn.functional.silu,
                output_initializer="glorot_orthogonal",
            )
            for _ in range(config.n_layers + 1)
        )
        zeros = bessel_zeros(config.n_spherical, config.n_radial)
        self._zeros, self._norms = zeros, bessel_norms(zeros)

    @property
    def blocks(self) -> list[nn.Module]:
        """Output and interaction blocks in the order of use."""
        pairs = zip(self.interactions, self.outputs[1:], strict=True)
        return [self.outputs[0], *(block for pair in pairs for block in pair)]

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Scalars [N, F] of every atom; DimeNet has no vectors."""
        n_atoms = graph.positions.shape[0]
        edges = near_edges(graph, self.cutoff)
        ratio = edges.distances / self.cutoff
        envelope = polynomial_envelope(ratio, self.config.envelope_power)[:, None]  # [E, 1]
        radial = bessel_basis(edges.distances, self.config.n_radial, self.cutoff) * envelope
        shape = triplets(edges, n_atoms)
        device = ratio.device
        waves = radial_functions(ratio, self._zeros.to(device), self._norms.to(device))
        waves = waves.to(ratio.dtype) * envelope[:, :, None]  # [E, L, R]
        angular = legendre(shape.cosine, self.config.n_spherical)[:, :, None]  # [T, L, 1]
        spherical = (waves.index_select(0, shape.kj) * angular).flatten(1)  # [T, L R]
        atoms = self.embedding(graph)
        message = self.edge_embedding(atoms, radial, edges.center, edges.neighbor)  # [E, F]
        s = atoms + self.run(self.outputs[0], message, radial, edges.center, n_atoms)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            message = self.run(interaction, message, radial, spherical, shape.kj, shape.ji)
            s = s + self.run(output, message, radial, edges.center, n_atoms)
        return AtomFeatures(scalars=s, vectors=None)
