"""DimeNet's joint basis of a distance and an angle, and the triplets of a periodic graph.

Gasteiger, Groß, Günnemann, "Directional message passing for molecular graphs", ICLR 2020 (arXiv
2003.03123), eqs. 6 to 8. Angles enter as Legendre polynomials of their cosine: through the angle
itself the gradient would not exist for three atoms in line, as in every rock salt crystal.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from scipy.special import spherical_jn
from torch import Tensor

from atomfm_calc.models.backbone import NearEdges


class Triplets(NamedTuple):
    """Pairs of edges k -> j -> i with k, in its image, other than i."""

    ji: Tensor
    """[T] edge with center i and neighbor j"""
    kj: Tensor
    """[T] edge with center j and neighbor k"""
    cosine: Tensor
    """[T] of the angle at j"""


def triplets(edges: NearEdges, n_atoms: int) -> Triplets:
    """All triplets of edges that are sorted by center.

    Args:
        edges: E edges.
        n_atoms: N
    """
    counts = torch.bincount(edges.center, minlength=n_atoms)
    first = counts.cumsum(0) - counts
    n_kj = counts.index_select(0, edges.neighbor)  # [E]
    ji = torch.arange(len(n_kj), device=n_kj.device).repeat_interleave(n_kj)
    place = torch.arange(len(ji), device=n_kj.device) - (n_kj.cumsum(0) - n_kj)[ji]
    kj = first.index_select(0, edges.neighbor)[ji] + place
    back = (edges.neighbor[kj] == edges.center[ji]) & (
        (edges.shift[ji] + edges.shift[kj]) == 0
    ).all(dim=1)
    ji, kj = ji[~back], kj[~back]
    unit = edges.vectors / edges.distances[:, None]
    cosine = -(unit.index_select(0, ji) * unit.index_select(0, kj)).sum(dim=1)
    return Triplets(ji=ji, kj=kj, cosine=cosine)


def bessel_zeros(n_spherical: int, n_radial: int) -> Tensor:
    """First positive zeros of the spherical Bessel functions j_0 .. j_(L-1): [L, R] float64.

    Zeros of neighboring orders interlace, which brackets each between two of the order below.
    """
    brackets = [n * math.pi for n in range(1, n_radial + n_spherical + 1)]  # the zeros of j_0
    zeros = [brackets[:n_radial]]
    for order in range(1, n_spherical):
        function = partial(spherical_jn, order)
        brackets = [brentq(function, low, high, xtol=1e-14) for low, high in pairwise(brackets)]
        zeros.append(brackets[:n_radial])
    return torch.tensor(zeros, dtype=torch.float64)


def spherical_bessel(x: Tensor, n_spherical: int) -> list[Tensor]:
    """j_0 .. j_(L-1) of x[l] each, by upward recurrence.

    The recurrence loses digits where x is below the order; in float64 what is lost there is below
    1e-10 for the distances and orders of DimeNet.

    Args:
        x: [L, ...] float64, above zero.
        n_spherical: L.
    """
    values = []
    for order in range(n_spherical):
        argument = x[order]
        below, value = torch.cos(argument) / argument, torch.sin(argument) / argument  # j_-1, j_0
        for step in range(order):
            below, value = value, (2 * step + 1) / argument * value - below
        values.append(value)
    return values


def radial_functions(ratio: Tensor, zeros: Tensor, norms: Tensor) -> Tensor:
    """Normalized j_l(z_ln d / cutoff), without an envelope: [E, L, R] float64.

    Args:
        ratio: [E] distance over cutoff.
        zeros: [L, R] of `bessel_zeros`, float64.
        norms: [L, R] of `bessel_norms`, float64.
    """
    arguments = zeros[:, None, :] * ratio.to(torch.float64)[None, :, None]  # [L, E, R]
    values = spherical_bessel(arguments, len(zeros))
    return torch.stack(values, dim=1) * norms


def bessel_norms(zeros: Tensor) -> Tensor:
    """Factors [L, R] that normalize j_l(z_ln x) on the unit ball, for the zeros [L, R]."""
    orders = torch.arange(1, len(zeros) + 1)[:, None].expand_as(zeros)
    return math.sqrt(2.0) / torch.from_numpy(spherical_jn(orders.numpy(), zeros.numpy())).abs()


def legendre(cosine: Tensor, n_spherical: int) -> Tensor:
    """Y_l0 of the angle, from its cosine: sqrt((2l + 1) / 4 pi) P_l, [T] -> [T, L]."""
    values = [torch.ones_like(cosine), cosine]
    for order in range(1, n_spherical - 1):
        higher = ((2 * order + 1) * cosine * values[-1] - order * values[-2]) / (order + 1)
        values.append(higher)
    factors = [math.sqrt((2 * order + 1) / (4 * math.pi)) for order in range(n_spherical)]
    columns = [factor * value for factor, value in zip(factors, values, strict=False)]
    return torch.stack(columns, dim=1)
