"""PaiNN, the polarizable atom interaction neural network.

Schütt, Unke, Gastegger, "Equivariant message passing for the prediction of tensorial properties and
molecular spectra", ICML 2021 (arXiv 2102.03150). The classes are the boxes of its figure 2:
(a) `Painn`, (b) `Message`, (c) `Update`. s are the scalars, v the vectors of an atom.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.kernels import PainnMessages
from atomfm_calc.models.architecture import PainnConfig
from atomfm_calc.models.conditioning import ElectronicEmbedding
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


class Message(nn.Module):
    """Figure 2b: what each atom hears from its neighbors (eqs. 7 and 8)."""

    def __init__(self, n_features: int, n_radial: int) -> None:
        super().__init__()
        self.phi = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )
        self.radial_filter = nn.Linear(n_radial, 3 * n_features)
        # sums over tens of neighbors begin at the size of one atom's features
        with torch.no_grad():
            self.radial_filter.weight.mul_(FRESH_FILTER_SCALE)
            self.radial_filter.bias.mul_(FRESH_FILTER_SCALE)

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
        mixed_u, mixed_v = self.mix(vectors).chunk(2, dim=-1)  # U v and V v, [N, 3, F] each
        length = torch.sqrt((mixed_v * mixed_v).sum(dim=1) + NORM_OFFSET)  # [N, F]
        gate_vv, gate_sv, gate_ss = self.gates(torch.cat([scalars, length], dim=1)).chunk(3, dim=1)
        change_of_scalars = gate_ss + gate_sv * (mixed_u * mixed_v).sum(dim=1)
        return change_of_scalars, gate_vv[:, None, :] * mixed_u


class Painn(nn.Module):
    """Figure 2a: element embedding, then alternating messages and updates."""

    def __init__(self, config: PainnConfig, messages: PainnMessages) -> None:
        """`messages` is an entry of `KERNELS`: how neighbors are summed, never what."""
        super().__init__()
        self.config = config
        self.messages = messages
        self.n_features = config.n_features
        self.cutoff = config.cutoff
        self.embedding = nn.Embedding(MAX_ATOMIC_NUMBER + 1, config.n_features)
        self.electronic = (
            ElectronicEmbedding(config.n_features)
            if config.conditioning == "charge_multiplicity"
            else None
        )
        self.message_blocks = nn.ModuleList(
            Message(config.n_features, config.n_radial) for _ in range(config.n_layers)
        )
        self.update_blocks = nn.ModuleList(
            Update(config.n_features) for _ in range(config.n_layers)
        )

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Features of every atom.

        Edges at or beyond the cutoff contribute exactly nothing, to values and gradients alike.
        """
        r = edge_vectors(graph)  # [E, 3]
        distances = torch.linalg.vector_norm(r, dim=1)  # [E]
        directions = r / distances[:, None]
        basis = bessel_basis(distances, self.config.n_radial, self.cutoff)  # [E, R]
        envelope = cosine_cutoff(distances, self.cutoff)  # [E]

        s = self.embedding(graph.atomic_numbers)  # [N, F]
        if self.electronic is not None:
            s = s + self.electronic(s, graph)
        v: Tensor | None = None
        blocks = zip(self.message_blocks, self.update_blocks, strict=True)
        for message, update in cast(Iterable[tuple[Message, Update]], blocks):
            filters = message.filters(basis, envelope)
            ds, dv = self.messages(message.phi(s), v, filters, directions, graph.edge_index)
            s = s + ds
            v = dv if v is None else v + dv
            ds, dv = update(s, v)
            s, v = s + ds, v + dv
        return AtomFeatures(scalars=s, vectors=v)
