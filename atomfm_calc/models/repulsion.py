"""Screened nuclear repulsion (Ziegler, Biersack, Littmark) at short range.

J. F. Ziegler, J. P. Biersack, U. Littmark, "The Stopping and Range of Ions in Solids", 1985. A
polynomial envelope takes it to zero, with two derivatives, at the sum of the covalent radii, so
that bonds are left to the network and only collisions are kept from falling into a hole.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from ase.data import covalent_radii
from ase.units import Bohr, Hartree
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph, edge_vectors
from atomfm_calc.kernels import KERNELS, Kernel, RepulsionLaw
from atomfm_calc.kernels.scatter import sum_to_rows
from atomfm_calc.models.radial import polynomial_envelope, polynomial_envelope_slope
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

SCREENING_AMPLITUDES = (0.18175, 0.50986, 0.28022, 0.02817)
SCREENING_EXPONENTS = (3.19980, 0.94229, 0.40290, 0.20162)
ENVELOPE_POWER = 6
SCREENING_POWER = 0.23
LENGTH_FACTOR = 0.88534 * Bohr
"""Å; the screening length is this over (Z_i^0.23 + Z_j^0.23)."""
UNKNOWN_RADIUS = 1.5
"""Å, for elements beyond the table of covalent radii (Cordero et al., 2008)."""


class _Pair(NamedTuple):
    """What the energy of a pair depends on besides its distance."""

    charges: Tensor
    """[E] product of the nuclear charges, e²"""
    screening_length: Tensor
    """[E] Å"""
    reach: Tensor
    """[E] Å, where the energy is zero"""


def _pair_energy(distances: Tensor, pair: _Pair, exponents: Tensor, amplitudes: Tensor) -> Tensor:
    """Energies [E] eV."""
    reduced = distances / pair.screening_length
    screening = torch.exp(-reduced[:, None] * exponents.to(reduced.dtype)) @ amplitudes.to(
        reduced.dtype
    )
    envelope = polynomial_envelope((distances / pair.reach).clamp(max=1.0), ENVELOPE_POWER)
    return Hartree * Bohr * pair.charges / distances * screening * envelope


class _PairEnergy(torch.autograd.Function):
    """`_pair_energy` with its derivative written out: a few operations for some thirty."""

    @staticmethod
    def forward(
        ctx: Any, distances: Tensor, pair: _Pair, exponents: Tensor, amplitudes: Tensor
    ) -> Tensor:
        ctx.save_for_backward(distances)
        ctx.rest = (pair, exponents, amplitudes)
        return _pair_energy(distances, pair, exponents, amplitudes)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (distances,) = ctx.saved_tensors
        pair, exponents, amplitudes = ctx.rest
        if torch.is_grad_enabled():  # the gradient will be differentiated in turn
            energy = _pair_energy(distances, *ctx.rest)
            (result,) = torch.autograd.grad(energy, distances, gradient, create_graph=True)
            return result, None, None, None
        reduced = distances / pair.screening_length
        parts = torch.exp(-reduced[:, None] * exponents.to(reduced.dtype))
        parts = parts * amplitudes.to(reduced.dtype)
        screening = parts.sum(dim=1)
        slope = -(parts @ exponents.to(reduced.dtype)) / pair.screening_length
        ratio = (distances / pair.reach).clamp(max=1.0)
        envelope = polynomial_envelope(ratio, ENVELOPE_POWER)
        fall = polynomial_envelope_slope(ratio, ENVELOPE_POWER) / pair.reach
        total = (slope - screening / distances) * envelope + screening * fall
        return gradient * Hartree * Bohr * pair.charges / distances * total, None, None, None


@cache
@torch.inference_mode(mode=False)
def _law() -> RepulsionLaw:
    """The equations above in numbers, rounded to float32 as the buffers below are."""
    exponents, amplitudes = (
        tuple(torch.tensor(numbers).tolist())
        for numbers in (SCREENING_EXPONENTS, SCREENING_AMPLITUDES)
    )
    numbers = torch.arange(MAX_ATOMIC_NUMBER + 1, dtype=torch.float64)
    return RepulsionLaw(
        radii=torch.tensor(_radii()).to(torch.float64),
        powers=numbers**SCREENING_POWER / LENGTH_FACTOR,
        constants=(exponents, amplitudes, Hartree * Bohr, ENVELOPE_POWER),
    )


def _radii() -> list[float]:
    """Covalent radius by atomic number, Å."""
    radii = [float(radius) for radius in covalent_radii[: MAX_ATOMIC_NUMBER + 1]]
    return [radius if radius > 0.25 else UNKNOWN_RADIUS for radius in radii]


class ZBLRepulsion(nn.Module):
    """Pair energy of close atoms; has no parameters to train."""

    radii: Tensor
    exponents: Tensor
    amplitudes: Tensor

    def __init__(self, kernel: Kernel = KERNELS["reference"]) -> None:
        """`kernel` is an entry of `KERNELS`."""
        super().__init__()
        self.kernel = kernel
        self.register_buffer("radii", torch.tensor(_radii()), persistent=False)
        exponents, amplitudes = (
            torch.tensor(SCREENING_EXPONENTS),
            torch.tensor(SCREENING_AMPLITUDES),
        )
        self.register_buffer("exponents", exponents.to(torch.float64), persistent=False)
        self.register_buffer("amplitudes", amplitudes.to(torch.float64), persistent=False)

    def forward(self, graph: AtomicGraph) -> Tensor:
        """Half of each pair energy at each of its two atoms: [N] eV."""
        if self.kernel.repulsion is None or graph.positions.is_cuda:
            return self._plain(graph)
        return self.kernel.repulsion(graph, _law(), self._plain)

    def _plain(self, graph: AtomicGraph) -> Tensor:
        close, reach = self._close_edges(graph)
        center, neighbor = close.edge_index
        if len(center) == 0:
            return (0.0 * graph.positions).sum(dim=1)  # zeros that have a gradient
        distances = torch.linalg.vector_norm(edge_vectors(close), dim=1)
        z = graph.atomic_numbers.to(distances.dtype)
        power = z**SCREENING_POWER
        pair = _Pair(
            charges=z.index_select(0, center) * z.index_select(0, neighbor),
            screening_length=LENGTH_FACTOR
            / (power.index_select(0, center) + power.index_select(0, neighbor)),
            reach=reach,
        )
        pair_energy = _PairEnergy.apply(distances, pair, self.exponents, self.amplitudes)
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
