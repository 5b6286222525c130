"""HydraGNN's PaiNN, so that its published checkpoints compute here what they compute there.

HydraGNN (https://github.com/ORNL/HydraGNN, version 5.0 and the state of August 2026) starts from
PaiNN (Schütt, Unke, Gastegger, arXiv 2102.03150) and differs from `painn.py` in what is marked
"unlike PaiNN" below. Messages are `painn.Message`: whoever fills in weights brings the three parts
of filters and states into the paper's order (scalars, along directions, along vectors) and divides
the weights of the radial basis by the √(2/cutoff) that HydraGNN leaves out. So the kernels of
`KERNELS` sum these messages too; the other blocks are plain torch.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from atomfm_calc.errors import lookup
from atomfm_calc.graph import AtomicGraph, edge_vectors, sum_to_structures
from atomfm_calc.kernels import Kernel
from atomfm_calc.models.activations import find_activation
from atomfm_calc.models.architecture import HydraPainnConfig
from atomfm_calc.models.graph_conditioning import CONDITIONINGS
from atomfm_calc.models.painn import AtomFeatures, Edges, Message
from atomfm_calc.models.precision import dense_layers
from atomfm_calc.models.radial import weighted_basis

LENGTH_OFFSET = 1e-9
"""Å, added to the distance where HydraGNN makes unit vectors."""


class HydraUpdate(nn.Module):
    """Scalars and vectors of one atom act on each other (PaiNN's figure 2c)."""

    def __init__(self, n_features: int, *, is_last: bool, biased: bool) -> None:
        """`is_last`: vectors stay as they are, nothing will read them."""
        super().__init__()
        self.is_last = is_last
        self.mix_u = nn.Linear(n_features, n_features, bias=biased)
        self.mix_v = nn.Linear(n_features, n_features, bias=biased)
        self.gates = nn.Sequential(
            nn.Linear(2 * n_features, n_features),
            nn.SiLU(),
            nn.Linear(n_features, (2 if is_last else 3) * n_features),
        )

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars [N, F] and vectors [N, 3, F] after the block."""
        with dense_layers(self):
            # a bias adds the same number to x, y and z: v5.0 is not invariant under rotations
            mixed_u, mixed_v = self.mix_u(v).to(v.dtype), self.mix_v(v).to(v.dtype)  # [N, 3, F]
            gates = self.gates(torch.cat([_lengths(mixed_v), s], dim=1)).to(s.dtype)
        # as in PaiNN: a_vv (not in the last block), a_sv, a_ss
        *gate_vv, gate_sv, gate_ss = gates.chunk(2 if self.is_last else 3, dim=1)
        s = s + gate_sv * (mixed_u * mixed_v).sum(dim=1) + gate_ss
        return s, v if self.is_last else v + gate_vv[0][:, None, :] * mixed_u


def _lengths(vectors: Tensor) -> Tensor:
    """Lengths [N, F] of vectors [N, 3, F]; all derivatives are 0 where a vector is 0.

    Unlike PaiNN nothing is added under the root.
    """
    squares = (vectors * vectors).sum(dim=1)
    nonzero = squares > 0.0
    return torch.where(nonzero, torch.where(nonzero, squares, 1.0).sqrt(), 0.0)


class HydraLayer(nn.Module):
    """Messages, update and, unlike PaiNN, linear layers that end the residual stream.

    They also take the first layer's one feature per atom to all the others' width.
    """

    def __init__(self, width: int, config: HydraPainnConfig, kernel: Kernel, is_last: bool) -> None:
        """`width`: features of an atom before the layer; `config.n_features` behind it."""
        super().__init__()
        n_features = config.n_features
        self.message = Message(width, config.n_radial, config.cutoff, kernel)
        self.update = HydraUpdate(width, is_last=is_last, biased=config.biased_vectors)
        self.scalars_out = nn.Sequential(
            nn.Linear(width, n_features), nn.Tanh(), nn.Linear(n_features, n_features)
        )
        self.vectors_out = (
            None if is_last else nn.Linear(width, n_features, bias=config.biased_vectors)
        )

    def forward(self, s: Tensor, v: Tensor | None, edges: Edges) -> tuple[Tensor, Tensor]:
        """Scalars [N, H], vectors [N, 3, H] (of the layer's own width behind the last)."""
        change_of_s, change_of_v = self.message(s, v, edges)
        s, v = self.update(s + change_of_s, change_of_v if v is None else v + change_of_v)
        with dense_layers(self):
            s = self.scalars_out(s).to(s.dtype)
            v = v if self.vectors_out is None else self.vectors_out(v).to(v.dtype)
        return s, v


class HydraPainn(nn.Module):
    """The encoder of HydraGNN's PaiNN, and the pooling that its energy heads read."""

    pools = True

    def __init__(self, config: HydraPainnConfig, kernel: Kernel) -> None:
        """`kernel` is an entry of `KERNELS`."""
        super().__init__()
        self.kernel = kernel
        self.config = config
        self.n_features = config.n_features
        self.cutoff = config.cutoff
        self.recompute = False
        """Whether layers are computed again for each derivative instead of kept in memory."""
        # unlike PaiNN an element is one number, its atomic number, and not an embedding
        widths = [1] + [config.n_features] * (config.n_layers - 1)
        self.layers = nn.ModuleList(
            HydraLayer(width, config, kernel, is_last=index == config.n_layers - 1)
            for index, width in enumerate(widths)
        )
        activation = find_activation(config.activation)
        self.activations = nn.ModuleList(activation() for _ in widths)
        self.conditioning = lookup(CONDITIONINGS, config.conditioning, "conditioning")(
            config.n_features, activation
        )

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts that are sharded and recomputed one by one, in the order of use."""
        return list(self.layers)

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Features of every atom and structure.

        Vectors are None where they are not of the scalars' width (a single layer) or do not turn
        with the structure (biased).
        """
        if self.config.max_neighbors is not None:
            graph = nearest_of_each_sender(graph, self.config.max_neighbors)
        conditioning = self.conditioning
        edges = self._edges(graph)
        s = graph.atomic_numbers.to(edges.distances.dtype)[:, None]  # [N, 1]
        v: Tensor | None = None
        for layer, activation in zip(self.layers, self.activations, strict=True):
            if self.recompute:
                s, v = checkpoint(layer, s, v, edges, use_reentrant=False)
            else:
                s, v = layer(s, v, edges)
            s = activation(conditioning.of_atoms(s, graph))
        pooled = lookup(POOLINGS, self.config.pooling, "pooling")(s, graph)
        turns = not self.config.biased_vectors and self.config.n_layers > 1
        return AtomFeatures(
            scalars=s,
            vectors=v if turns else None,
            pooled=conditioning.of_structures(pooled, graph),
        )

    def _edges(self, graph: AtomicGraph) -> Edges:
        r = edge_vectors(graph)  # [E, 3]
        distances = torch.linalg.vector_norm(r, dim=1)  # [E]
        messages = [cast(Message, layer.message) for layer in self.layers]
        basis = None
        if not all(message.can_use_table for message in messages):
            basis = weighted_basis(distances, self.config.n_radial, self.cutoff)
        return Edges(
            sides=self.kernel.sides(graph.edge_index, graph.positions.shape[0]),
            distances=distances,
            # unlike PaiNN the unit vector is divided by the distance once more
            directions=r / ((distances + LENGTH_OFFSET) * distances)[:, None],
            basis=basis,
        )


def nearest_of_each_sender(graph: AtomicGraph, n_nearest: int) -> AtomicGraph:
    """Keep the shortest edges of each neighbor (the sender), as HydraGNN does in periodic cells.

    The energy jumps where the order of two distances changes. Of equal distances those of the first
    center are kept.

    Args:
        graph: edges sorted by center.
        n_nearest: edges that a sender keeps at most.
    """
    sender, n_edges = graph.edge_index[1], graph.edge_index.shape[1]
    distances = torch.linalg.vector_norm(edge_vectors(graph).detach(), dim=1)
    by_distance = distances.argsort(stable=True)
    order = by_distance[sender[by_distance].argsort(stable=True)]  # by sender, nearest first
    n_sent = torch.bincount(sender, minlength=len(graph.atomic_numbers))
    first = (n_sent.cumsum(0) - n_sent)[sender[order]]
    rank = torch.arange(n_edges, device=order.device) - first
    is_near = torch.zeros(n_edges, dtype=torch.bool, device=order.device)
    is_near[order] = rank < n_nearest
    return graph._replace(
        edge_index=graph.edge_index[:, is_near], edge_shift=graph.edge_shift[is_near]
    )


def _mean(s: Tensor, graph: AtomicGraph) -> Tensor:
    return sum_to_structures(s, graph) / graph.n_atoms[:, None]


def _maximum(s: Tensor, graph: AtomicGraph) -> Tensor:
    lowest = s.new_zeros((graph.n_structures, s.shape[1]))
    of_structure = graph.batch[:, None].expand_as(s)
    return lowest.scatter_reduce(0, of_structure, s, "amax", include_self=False)


POOLINGS = {"add": sum_to_structures, "mean": _mean, "max": _maximum}
"""Features of atoms [N, H] and their graph -> features of structures [S, H]."""
