"""Screened nuclear repulsion (Ziegler, Biersack, Littmark) at short range.

J. F. Ziegler, J. P. Biersack, U. Littmark, "The Stopping and Range of Ions in Solids", 1985. A
polynomial envelope takes it to zero, with two derivatives, at the sum of the covalent radii, so
that bonds are left to the network and only collisions are kept from falling into a hole.
"""

from __future__ import annotations

import torch
from ase.data import covalent_radii
from ase.units import Bohr, Hartree
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.kernels.scatter import sum_to_rows
from atomfm_calc.models.radial import polynomial_envelope
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

SCREENING_AMPLITUDES = (0.18175, 0.50986, 0.28022, 0.02817)
SCREENING_EXPONENTS = (3.19980, 0.94229, 0.40290, 0.20162)
LENGTH_FACTOR = 0.88534 * Bohr
"""Å; the screening length is this over (Z_i^0.23 + Z_j^0.23)."""
UNKNOWN_RADIUS = 1.5
"""Å, for elements beyond the table of covalent radii (Cordero et al., 2008)."""


class ZBLRepulsion(nn.Module):
    """Pair energy of close atoms; has no parameters to train."""

    radii: Tensor

    def __init__(self) -> None:
        super().__init__()
        radii = [float(radius) for radius in covalent_radii[: MAX_ATOMIC_NUMBER + 1]]
        radii = [radius if radius > 0.25 else UNKNOWN_RADIUS for radius in radii]
        self.register_buffer("radii", torch.tensor(radii), persistent=False)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Half of each pair energy at each of its two atoms: [N] eV."""
        close, reach = self._close_edges(graph)
        center, neighbor = close.edge_index
        if len(center) == 0:
            return (0.0 * graph.positions).sum(dim=1)  # zeros that have a gradient
        distances = torch.linalg.vector_norm(edge_vectors(close), dim=1)
        z_center, z_neighbor = (
            graph.atomic_numbers.index_select(0, atoms).to(distances.dtype)
            for atoms in (center, neighbor)
        )
        screening_length = LENGTH_FACTOR / (z_center**0.23 + z_neighbor**0.23)
        reduced = distances / screening_length
        screening = sum(
            amplitude * torch.exp(-exponent * reduced)
            for amplitude, exponent in zip(SCREENING_AMPLITUDES, SCREENING_EXPONENTS, strict=True)
        )
        pair_energy = Hartree * Bohr * z_center * z_neighbor / distances * screening
        pair_energy = pair_energy * polynomial_envelope((distances / reach).clamp(max=1.0))
        return sum_to_rows(0.5 * pair_energy, center, graph.atomic_numbers.shape[0])

    @torch.no_grad()
    def _close_edges(self, graph: AtomicGraph) -> tuple[AtomicGraph, Tensor]:
        """The graph with the few edges that repel, and where they cease to: [E] Å.

        Found without derivatives, so that only these few are differentiated. While a CUDA graph is
        recorded it is all edges, since nothing in it may change its size.
        """
        distances = torch.linalg.vector_norm(edge_vectors(graph), dim=1)
        radii = self.radii.index_select(0, graph.atomic_numbers)
        center, neighbor = graph.edge_index
        reach = radii.index_select(0, center) + radii.index_select(0, neighbor)
        reach = reach.to(distances.dtype)
        if distances.is_cuda and torch.cuda.is_current_stream_capturing():
            return graph, reach
        close = (distances < reach).nonzero()[:, 0]
        near = graph._replace(
            edge_index=graph.edge_index.index_select(1, close),
            edge_shift=graph.edge_shift.index_select(0, close),
        )
        return near, reach.index_select(0, close)
