"""PaiNN, the polarizable atom interaction neural network.

Schütt, Unke, Gastegger, "Equivariant message passing for the prediction of tensorial properties and
molecular spectra", ICML 2021 (arXiv 2102.03150). The classes are the boxes of its figure 2:
(a) `Painn`, (b) `Message`, (c) `Update`. s are the scalars, v the vectors of an atom.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.kernels import Kernel, LayerWeights
from atomfm_calc.kernels.tables import FilterTable, tabulate
from atomfm_calc.models.architecture import PainnConfig
from atomfm_calc.models.conditioning import ElectronicEmbedding
from atomfm_calc.models.origins import Origins
from atomfm_calc.models.precision import dense_dtype, dense_layers
from atomfm_calc.models.radial import weighted_basis
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

FRESH_FILTER_SCALE = 0.2
"""Factor on the first filter weights, about one over the root of the number of neighbors."""


class AtomFeatures(NamedTuple):
    """What a backbone gives to the heads."""

    scalars: Tensor
    """[N, F]"""
    vectors: Tensor | None
    """[N, 3, F]; None for invariant backbones"""
    pooled: Tensor | None = None
    """[S, F], what energy heads read in place of `scalars` where the backbone pools"""


class Edges(NamedTuple):
    """What every message block needs of the edges."""

    sides: Any
    """Centers and neighbors, as the kernel wants them"""
    distances: Tensor
    """[E] Å"""
    directions: Tensor
    """[E, 3] unit vectors from center to neighbor"""
    basis: Tensor | None
    """[E, R + 1], cutoff included; None if all filters are read from tables"""


class Message(nn.Module):
    """Figure 2b: what each atom hears from its neighbors (eqs. 7 and 8)."""

    def __init__(self, n_features: int, n_radial: int, cutoff: float, kernel: Kernel) -> None:
        """`kernel` is an entry of `KERNELS`: how neighbors are summed, never what."""
        super().__init__()
        self.kernel = kernel
        self.cutoff = cutoff
        self.phi = nn.Sequential(
            nn.Linear(n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )
        self.radial_filter = nn.Linear(n_radial, 3 * n_features)
        # sums over tens of neighbors begin at the size of one atom's features
        with torch.no_grad():
            self.radial_filter.weight.mul_(FRESH_FILTER_SCALE)
            self.radial_filter.bias.mul_(FRESH_FILTER_SCALE)
        self._table: tuple[Origins, FilterTable] | None = None

    def forward(self, s: Tensor, v: Tensor | None, edges: Edges) -> tuple[Tensor, Tensor]:
        """Changes of the scalars [N, F] and vectors [N, 3, F]."""
        with dense_layers(self):
            states = self.phi(s).to(s.dtype)  # [N, 3F]
        if edges.basis is None:
            return self.kernel.tabulated_messages(
                states, v, edges.distances, edges.directions, self.table(), edges.sides
            )
        filters = edges.basis @ self.filter_weight().T  # the paper's W(|r|), [E, 3F]
        return self.kernel.messages(states, v, filters, edges.directions, edges.sides)

    def filter_weight(self) -> Tensor:
        """Weight and bias of the radial filter: [3F, R + 1]."""
        return torch.cat([self.radial_filter.weight, self.radial_filter.bias[:, None]], dim=1)

    @property
    def can_use_table(self) -> bool:
        """Whether the filters depend on distances alone and the kernel reads tables."""
        trained = any(parameter.requires_grad for parameter in self.radial_filter.parameters())
        return self.kernel.reads_tables and not trained

    @torch.inference_mode(mode=False)
    def table(self) -> FilterTable:
        """The filters as a table, made anew whenever the weights are not those of the last call."""
        if self._table is not None:
            origins, table = self._table
            if origins.are(self.radial_filter.parameters()):
                return table
        weight = self.filter_weight().detach()
        table = tabulate(
            partial(_filters, weight=weight.to(torch.float64), cutoff=self.cutoff),
            cutoff=self.cutoff,
            n_radial=self.radial_filter.in_features,
            dtype=weight.dtype,
            exact=partial(_filters, weight=weight, cutoff=self.cutoff),
        )
        self._table = (Origins.of(self.radial_filter.parameters()), table)
        return table


def _filters(distances: Tensor, weight: Tensor, cutoff: float) -> Tensor:
    """[E] -> [E, 3F], for a weight [3F, R + 1] that includes the bias."""
    return weighted_basis(distances, weight.shape[1] - 1, cutoff) @ weight.T


class Update(nn.Module):
    """Figure 2c: scalars and vectors of one atom act on each other (eqs. 9 and 10)."""

    def __init__(self, n_features: int, norm_offset: float) -> None:
        """`norm_offset` is added to squared lengths."""
        super().__init__()
        self.norm_offset = norm_offset
        self.mix = nn.Linear(n_features, 2 * n_features, bias=False)
        self.gates = nn.Sequential(
            nn.Linear(2 * n_features, n_features), nn.SiLU(), nn.Linear(n_features, 3 * n_features)
        )

    def forward(self, scalars: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Changes of the scalars [N, F] and vectors [N, 3, F]."""
        with dense_layers(self):
            mixed = self.mix(vectors)
        mixed_u, mixed_v = mixed.to(vectors.dtype).chunk(2, dim=-1)  # U v and V v, [N, 3, F] each
        length = torch.sqrt((mixed_v * mixed_v).sum(dim=1) + self.norm_offset)  # [N, F]
        with dense_layers(self):
            gates = self.gates(torch.cat([scalars, length], dim=1))
        gate_vv, gate_sv, gate_ss = gates.to(scalars.dtype).chunk(3, dim=1)
        change_of_scalars = gate_ss + gate_sv * (mixed_u * mixed_v).sum(dim=1)
        return change_of_scalars, gate_vv[:, None, :] * mixed_u


class Painn(nn.Module):
    """Figure 2a: element embedding, then alternating messages and updates."""

    pools = False

    def __init__(self, config: PainnConfig, kernel: Kernel) -> None:
        """`kernel` is an entry of `KERNELS`."""
        super().__init__()
        self.kernel = kernel
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
            Message(config.n_features, config.n_radial, config.cutoff, kernel)
            for _ in range(config.n_layers)
        )
        self.update_blocks = nn.ModuleList(
            Update(config.n_features, config.norm_offset) for _ in range(config.n_layers)
        )

        linears = [m for block in self.blocks for m in block.modules() if isinstance(m, nn.Linear)]
        self._owners = tuple(
            (linear, name)
            for linear in linears
            for name, parameter in linear._parameters.items()
            if parameter is not None
        )
        self._weights: tuple[Origins, Any] | None = None

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts that are sharded and recomputed one by one, in the order of use."""
        pairs = zip(self.message_blocks, self.update_blocks, strict=True)
        return [block for pair in pairs for block in pair]

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Features of every atom.

        Edges at or beyond the cutoff contribute exactly nothing, to values and gradients alike.
        """
        r = self._edge_vectors(graph)  # [E, 3]
        s = self.embedding(graph.atomic_numbers)  # [N, F]
        if self.electronic is not None:
            s = s + self.electronic(s, graph)
        sides = self.kernel.sides(graph.edge_index, graph.positions.shape[0])
        layers = partial(self._layers, sides=sides)
        weights = None if s.requires_grad else self._prepared()
        if self.kernel.network is not None and weights is not None:
            s, v = self.kernel.network(s, r, weights, sides, layers)
        else:
            s, v = layers(s, r)
        return AtomFeatures(scalars=s, vectors=v)

    def _edge_vectors(self, graph: AtomicGraph) -> Tensor:
        if self.kernel.edge_vectors is None or graph.positions.is_cuda:
            return edge_vectors(graph)
        return self.kernel.edge_vectors(graph, edge_vectors)

    @torch.inference_mode(mode=False)
    def _prepared(self) -> Any:
        """Weights for `Kernel.network`; None where the layers are to be computed one by one."""
        if self.kernel.prepare is None or self.recompute or dense_dtype(self) is not None:
            return None
        # by way of its table a parameter is found twenty times faster than as an attribute
        found = [linear._parameters.get(name) for linear, name in self._owners]
        held = [parameter for parameter in found if parameter is not None]
        is_low_rank = len(held) < len(found)  # weights are then sums made when they are read
        if is_low_rank or any(parameter.requires_grad for parameter in held):
            return None
        if self._weights is None or not self._weights[0].are(held):
            self._weights = Origins.of(held), self.kernel.prepare(self._layer_weights())
        return self._weights[1]

    def _layer_weights(self) -> list[LayerWeights]:
        pairs: Any = zip(self.message_blocks, self.update_blocks, strict=True)
        return [
            LayerWeights(
                *_both(message.phi),
                message.table(),
                update.mix.weight,
                *_both(update.gates),
                offset=update.norm_offset,
            )
            for message, update in pairs
        ]

    def _layers(self, s: Tensor, r: Tensor, sides: Any) -> tuple[Tensor, Tensor]:
        """Scalars and vectors behind all layers, one after the other."""
        distances = torch.linalg.vector_norm(r, dim=1)  # [E]
        tabulated = all(message.can_use_table for message in self.message_blocks)
        edges = Edges(
            sides=sides,
            distances=distances,
            directions=r / distances[:, None],
            basis=(
                None if tabulated else weighted_basis(distances, self.config.n_radial, self.cutoff)
            ),
        )
        v: Tensor | None = None
        for message, update in zip(self.message_blocks, self.update_blocks, strict=True):
            ds, dv = self._run(message, s, v, edges)
            s = s + ds
            v = dv if v is None else v + dv
            ds, dv = self._run(update, s, v)
            s, v = s + ds, v + dv
        return s, cast(Tensor, v)

    def _run(self, block: nn.Module, *inputs: Tensor | Edges | None) -> tuple[Tensor, Tensor]:
        if self.recompute:
            result: tuple[Tensor, Tensor] = checkpoint(block, *inputs, use_reentrant=False)
        else:
            result = block(*inputs)
        return result


def _both(perceptron: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights and biases of two layers with an activation between them."""
    first, last = perceptron[0], perceptron[2]
    return first.weight, first.bias, last.weight, last.bias
