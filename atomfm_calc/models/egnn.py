"""EGNN, the E(n)-equivariant graph network, with a smooth cutoff.

Satorras, Hoogeboom, Welling, "E(n) equivariant graph neural networks", ICML 2021 (arXiv
2102.09844), eqs. 3 to 6. The paper's graphs are complete; here each message carries the cutoff
function of the true distance, so that energies and forces are smooth when neighbors come and go.
The moved coordinates of the paper are displacements u here: r_ij + u_j - u_i is then right across
periodic boundaries, and the neighbors stay those of the structure.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels.scatter import gather, sum_to_rows
from atomfm_calc.models.backbone import Backbone, NearEdges, near_edges
from atomfm_calc.models.family_sizes import EgnnConfig
from atomfm_calc.models.painn import AtomFeatures
from atomfm_calc.models.radial import cosine_cutoff

FRESH_MESSAGE_SCALE = 0.2
"""Factor on the last message weights, about one over the root of the number of neighbors."""
FRESH_STEP_SCALE = 1e-2
"""Factor on the weights that move coordinates: at first they hardly move."""


class EgnnLayer(nn.Module):
    """Eqs. 3 to 6: messages, moved coordinates, new features."""

    def __init__(self, width: int, *, moves: bool) -> None:
        """`moves`: whether coordinates are moved; nothing would read those of the last layer."""
        super().__init__()
        heard = nn.Linear(width, width)
        step = nn.Linear(width, 1, bias=False)
        with torch.no_grad():
            heard.weight.mul_(FRESH_MESSAGE_SCALE)
            step.weight.mul_(FRESH_STEP_SCALE)
        self.phi_e = nn.Sequential(  # the paper's names
            nn.Linear(2 * width + 1, width), nn.SiLU(), heard, nn.SiLU()
        )
        self.phi_x = nn.Sequential(nn.Linear(width, width), nn.SiLU(), step) if moves else None
        self.phi_h = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(
        self, h: Tensor, u: Tensor, edges: NearEdges, envelope: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Changes of the features [N, F] and displacements [N, 3] Å.

        Args:
            h: [N, F]
            u: [N, 3] Å
            edges: inside the cutoff.
            envelope: [E, 1] cutoff function of their distances.
        """
        moved = edges.vectors + gather(u, edges.neighbor) - gather(u, edges.center)  # [E, 3]
        square = (moved * moved).sum(dim=1, keepdim=True)
        pair = [gather(h, edges.center), gather(h, edges.neighbor), square]
        message = self.phi_e(torch.cat(pair, dim=1))  # [E, F]
        n_atoms = h.shape[0]
        heard = sum_to_rows(message * envelope, edges.center, n_atoms)  # [N, F]
        dh = self.phi_h(torch.cat([h, heard], dim=1))
        if self.phi_x is None:
            return dh, torch.zeros_like(u)
        # (x_i - x_j) / (1 + d): the bounded step of the authors' code; d is smooth at zero
        direction = moved / (1.0 + torch.sqrt(square + 1e-8))
        step = -direction * self.phi_x(message) * envelope
        neighbors = sum_to_rows(envelope, edges.center, n_atoms)  # [N, 1]
        return dh, sum_to_rows(step, edges.center, n_atoms) / (1.0 + neighbors)


class Egnn(Backbone):
    """Element embedding, then layers that pass messages and move coordinates."""

    def __init__(self, config: EgnnConfig) -> None:
        width = config.n_features
        super().__init__(width, config.cutoff, width, config.conditioning)
        last = config.n_layers - 1
        self.layers = nn.ModuleList(
            EgnnLayer(width, moves=index < last) for index in range(config.n_layers)
        )

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers."""
        return list(self.layers)

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Scalars [N, F] of every atom; the energy reads no vectors of EGNN."""
        edges = near_edges(graph, self.cutoff)
        envelope = cosine_cutoff(edges.distances, self.cutoff)[:, None]
        h: Tensor = self.embedding(graph)
        u = torch.zeros_like(graph.positions)
        for layer in self.layers:
            dh, du = self.run(layer, h, u, edges, envelope)
            h, u = h + dh, u + du
        return AtomFeatures(scalars=h, vectors=None)
