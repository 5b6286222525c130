"""PaiNN, the polarizable atom interaction neural network.

Schütt, Unke, Gastegger, "Equivariant message passing for the prediction of tensorial properties and
molecular spectra", ICML 2021 (arXiv 2102.03150). The classes are the boxes of its figure 2:
(a) `Painn`, (b) `Message`, (c) `Update`. s are the scalars, v the vectors of an atom.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.kernels import PainnMessages
from atomfm_calc.models.architecture import PainnConfig
from atomfm_calc.models.conditioning import ElectronicEmbedding
from atomfm_calc.models.precision import dense_layers
from atomfm_calc.models.radial import bessel_basis, cosine_cutoff
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

NORM_OFFSET = 1e-8
"""Added to squared vector lengths, so that the gradient of the length exists at zero."""


FRESH_FILTER_SCALE = 0.2
"""Factor on the first filter weights, about one over the root of the number of neighbors."""


class AtomFeatures(NamedTuple):
    """What a backbone gives to the heads."""

    scalars: Tensor
    """[N, F]"""
    vectors: Tensor | None
    """[N, 3, F]; None for invariant backbones"""


class Edges(NamedTuple):
    """What every message block needs of the edges."""

    edge_index: Tensor
    """[2, E] center, neighbor"""
    directions: Tensor
    """[E, 3] unit vectors from center to neighbor"""
    basis: Tensor
    """[E, R]"""
    envelope: Tensor
    """[E], zero at and beyond the cutoff"""


class Message(nn.Module):
    """Figure 2b: what each atom hears from its neighbors (eqs. 7 and 8)."""

    def __init__(self, n_features: int, n_radial: int, messages: PainnMessages) -> None:
        """`messages` is an entry of `KERNELS`: how neighbors are summed, never what."""
        super().__init__()
        self.messages = messages
        self.phi = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )
        self.radial_filter = nn.Linear(n_radial, 3 * n_features)
        # sums over tens of neighbors begin at the size of one atom's features
        with torch.no_grad():
            self.radial_filter.weight.mul_(FRESH_FILTER_SCALE)
            self.radial_filter.bias.mul_(FRESH_FILTER_SCALE)

    def forward(self, s: Tensor, v: Tensor | None, edges: Edges) -> tuple[Tensor, Tensor]:
        """Changes of the scalars [N, F] and vectors [N, 3, F]."""
        filters = self.filters(edges.basis, edges.envelope)
        with dense_layers(self):
            states = self.phi(s)  # [N, 3F]
        return self.messages(states.to(s.dtype), v, filters, edges.directions, edges.edge_index)

    def filters(self, basis: Tensor, envelope: Tensor) -> Tensor:
        """The paper's W(|r|): [E, R] and [E] -> [E, 3F]."""
        # the envelope multiplies the narrow side: R columns instead of 3F
        weighted = torch.cat([basis, torch.ones_like(envelope)[:, None]], dim=1) * envelope[:, None]
        weight = torch.cat([self.radial_filter.weight, self.radial_filter.bias[:, None]], dim=1)
        return weighted @ weight.T


class Update(nn.Module):
    """Figure 2c: scalars and vectors of one atom act on each other (eqs. 9 and 10)."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.mix = nn.Linear(n_features, 2 * n_features, bias=False)
        self.gates = nn.Sequential(
            nn.Linear(2 * n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )

    def forward(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Changes of the scalars [N, F] and vectors [N, 3, F]."""
        with dense_layers(self):
            mixed = self.mix(vectors)
        mixed_u, mixed_v = mixed.to(vectors.dtype).chunk(2, dim=-1)  # U v and V v, [N, 3, F] each
        length = torch.sqrt((mixed_v * mixed_v).sum(dim=1) + NORM_OFFSET)  # [N, F]
        with dense_layers(self):
            gates = self.gates(torch.cat([scalars, length], dim=1))
        gate_vv, gate_sv, gate_ss = gates.to(scalars.dtype).chunk(3, dim=1)
        change_of_scalars = gate_ss + gate_sv * (mixed_u * mixed_v).sum(dim=1)
        return change_of_scalars, gate_vv[:, None, :] * mixed_u


class Painn(nn.Module):
    """Figure 2a: element embedding, then alternating messages and updates."""

    def __init__(self, config: PainnConfig, messages: PainnMessages) -> None:
        """`messages` is an entry of `KERNELS`."""
        super().__init__()
        self.config = config
        self.n_features = config.n_features
        self.cutoff = config.cutoff
        self.recompute = False
        """Whether blocks are computed again for each derivative instead of kept in memory."""
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, config.n_features)
        self.electronic = (
            ElectronicEmbedding(config.n_features)
            if config.conditioning == "charge_multiplicity"
            else None
        )
        self.message_blocks = nn.ModuleList(
            Message(config.n_features, config.n_radial, messages) for _ in range(config.n_layers)
        )
        self.update_blocks = nn.ModuleList(
            Update(config.n_features) for _ in range(config.n_layers)
        )

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts that are sharded and recomputed one by one, in the order of use."""
        pairs = zip(self.message_blocks, self.update_blocks, strict=True)
        return [block for pair in pairs for block in pair]

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Features of every atom.

        Edges at or beyond the cutoff contribute exactly nothing, to values and gradients alike.
        """
        r = edge_vectors(graph)  # [E, 3]
        distances = torch.linalg.vector_norm(r, dim=1)  # [E]
        edges = Edges(
            edge_index=graph.edge_index,
            directions=r / distances[:, None],
            basis=bessel_basis(distances, self.config.n_radial, self.cutoff),
            envelope=cosine_cutoff(distances, self.cutoff),
        )
        s = self.embedding(graph.atomic_numbers)  # [N, F]
        if self.electronic is not None:
            s = s + self.electronic(s, graph)
        v: Tensor | None = None
        for message, update in zip(self.message_blocks, self.update_blocks, strict=True):
            ds, dv = self._run(message, s, v, edges)
            s = s + ds
            v = dv if v is None else v + dv
            ds, dv = self._run(update, s, v)
            s, v = s + ds, v + dv
        return AtomFeatures(scalars=s, vectors=v)

    def _run(self, block: nn.Module, *inputs: Tensor | Edges | None) -> tuple[Tensor, Tensor]:
        if self.recompute:
            result: tuple[Tensor, Tensor] = checkpoint(block, *inputs, use_reentrant=False)
        else:
            result = block(*inputs)
        return result
