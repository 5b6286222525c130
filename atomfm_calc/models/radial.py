"""Radial functions of the distance: Bessel-like basis and cosine cutoff, as PaiNN uses them.

Schütt, Unke, Gastegger, ICML 2021 (arXiv 2102.03150), section 4; the basis is that of
Gasteiger et al., ICLR 2020 (DimeNet), eq. 7.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def bessel_basis(distances: Tensor, n_radial: int, cutoff: float) -> Tensor:
    """sqrt(2/cutoff) sin(n pi d / cutoff) / d for n = 1 .. n_radial.

    Args:
        distances: [E] Å, above zero.
        n_radial: number of functions R.
        cutoff: Å.

    Returns:
        [E, R], in Å^(-3/2).
    """
    order = torch.arange(1, n_radial + 1, dtype=distances.dtype, device=distances.device)
    waves = torch.sin(distances[:, None] * (order * (math.pi / cutoff)))
    return math.sqrt(2.0 / cutoff) * waves / distances[:, None]


def cosine_cutoff(distances: Tensor, cutoff: float) -> Tensor:
    """(cos(pi d / cutoff) + 1) / 2 below the cutoff, 0 above: [E]. First derivative continuous."""
    inside = (distances < cutoff).to(distances.dtype)
    return 0.5 * (torch.cos(distances * (math.pi / cutoff)) + 1.0) * inside


def weighted_basis(distances: Tensor, n_radial: int, cutoff: float) -> Tensor:
    """Bessel basis and a column of ones, each times the cosine cutoff: [E] -> [E, R + 1].

    A linear layer of the basis times the cutoff, bias included, is one product with these: the
    cutoff multiplies R columns instead of the layer's 3F.
    """
    basis = bessel_basis(distances, n_radial, cutoff)
    columns = torch.cat([basis, torch.ones_like(distances)[:, None]], dim=1)
    return columns * cosine_cutoff(distances, cutoff)[:, None]


def polynomial_envelope(ratio: Tensor, power: int = 6) -> Tensor:
    """1 at ratio 0, 0 at ratio 1 with two continuous derivatives; DimeNet eq. 8 with p = 6.

    Args:
        ratio: [E], distance over cutoff, between 0 and 1.
        power: the p of the paper.
    """
    # the paper's sum of powers, with its triple root at 1 taken out: exact to rounding there too
    series = sum(0.5 * (k + 1) * (k + 2) * ratio**k for k in range(power))
    return (1.0 - ratio) ** 3 * series


def polynomial_envelope_slope(ratio: Tensor, power: int = 6) -> Tensor:
    """Derivative of `polynomial_envelope` with respect to the ratio: [E]."""
    factor = -0.5 * power * (power + 1) * (power + 2)
    return factor * ratio ** (power - 1) * (1.0 - ratio) ** 2
