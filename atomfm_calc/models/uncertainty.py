"""How far the energy of a head may be off: last-layer prediction rigidity, beside the weights.

Bigi, Chong, Ceriotti, Grasselli, "A prediction rigidity formalism for low-cost uncertainties in
trained neural networks", Mach. Learn.: Sci. Technol. 5, 045018 (2024), arXiv 2403.02251, eq. 24.

The last layer of an energy head is linear in what the layer before it makes of an atom, h_i. With
f_i = (h_i, 1), its weights and bias w, and the references R and scale s of the head,

    E = sum_i [R(Z_i) + s w · f_i],      F = sum_i f_i,

and the network below is taken as it is. Training has made small the errors of energies per atom, so
the features of a structure count per atom as well, and

    C = mean of (F/N)(F/N)ᵀ over the training structures of the head,
    sigma(F) = alpha sqrt(Fᵀ (C + r t)⁻¹ F),      t = mean of the diagonal of C,

is one standard deviation of the error of the energy, and sigma/N that of the energy per atom. Two
numbers are fitted to structures that were held out: the scale alpha and the regularization r. A
supercell has the uncertainty per atom of its cell. sigma(f_i) is that of a structure made of atoms
like i alone: the largest of them tells where a structure is strange.

It knows energies, not forces or stress; the error of a theory itself is no part of it; and where
the network below maps something new onto features that it knows, nothing is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from atomfm_calc.errors import WeightsError, listing
from atomfm_calc.graph import AtomicGraph, sum_to_structures
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.pooled_heads import PooledEnergyHead
from atomfm_calc.models.weights import read_tensors, write_tensors

UNCERTAINTY_FILE = "uncertainty.safetensors"
"""Name of the file inside a model folder."""
FORMAT = "atomfm-uncertainty"
FORMAT_VERSION = 1


class LastFeatures(NamedTuple):
    """What the last layer of a head is linear in, D = width + 1, in float64."""

    structures: Tensor
    """[S, D], the F of the module's docstring"""
    atoms: Tensor | None
    """[N, D], adding up to `structures`; None where the head reads pooled features"""


@torch.no_grad()
def last_features(
    model: FoundationModel, descriptors: Tensor, graph: AtomicGraph, head: str
) -> LastFeatures:
    """Features behind the last hidden layer of a head.

    Args:
        model: has the head.
        descriptors: from `FoundationModel.descriptors`, or the field of an `Energy`.
        graph: S structures, N atoms.
        head: name.
    """
    chosen = model.head(head)
    hidden = chosen.last_hidden(descriptors).to(torch.float64)
    features = torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)
    if isinstance(chosen, PooledEnergyHead):
        return LastFeatures(features, None)
    return LastFeatures(sum_to_structures(features, graph), features)


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadUncertainty:
    """What one head knows of its errors."""

    covariance: Tensor
    """[D, D] float64, the C of the module's docstring"""
    regularization: float
    """r, a part of the mean of the diagonal of C"""
    scale: float
    """alpha, eV"""
    usual: float
    """eV/atom, above the uncertainty of 95 % of the held-out structures"""
    n_training: int
    """Structures that C is the mean over"""
    n_calibration: int
    """Held-out structures that scale and regularization were fitted to"""

    @cached_property
    def whitening(self) -> Tensor:
        """[D, D] A with AᵀA = (C + r t)⁻¹, so that sigma(F) = alpha |A F|."""
        return whitening_of(self.covariance, self.regularization)

    def sigma(self, features: Tensor) -> Tensor:
        """One standard deviation in eV: [..., D] -> [...]."""
        whitened = features @ self.whitening.to(features.device).T
        return self.scale * torch.linalg.vector_norm(whitened, dim=-1)


def whitening_of(covariance: Tensor, regularization: float) -> Tensor:
    """A [D, D] with AᵀA = (C + r t)⁻¹; see the module's docstring.

    Raises:
        WeightsError: C is no covariance, or r is so small that it has no inverse in float64.
    """
    identity = torch.eye(len(covariance), dtype=torch.float64)
    shift = regularization * covariance.diagonal().mean()
    factor, failed = torch.linalg.cholesky_ex(covariance + shift * identity)
    if int(failed):
        raise WeightsError(
            f"a covariance of {len(covariance)} features with regularization {regularization} is "
            "not positive; make it again: python -m training uncertainty"
        )
    return torch.linalg.solve_triangular(factor, identity, upper=False)


def save_uncertainties(heads: Mapping[str, HeadUncertainty], path: str | Path) -> str:
    """Write those of all heads, usually as `folder / UNCERTAINTY_FILE`; returns the SHA-256."""
    numbers = ("regularization", "scale", "usual", "n_training", "n_calibration")
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "heads": {
            name: {number: getattr(head, number) for number in numbers}
            for name, head in heads.items()
        },
    }
    # a symmetric matrix: one half of it is enough
    state = {f"{name}.covariance": _half(head.covariance) for name, head in heads.items()}
    return write_tensors(path, header, state)


def load_uncertainties(path: str | Path) -> dict[str, HeadUncertainty]:
    """Those of all heads that have one, from a file; on the CPU.

    Raises:
        WeightsError: no such file, damaged, another format, or tensors that do not match the
            header.
    """
    header, state = read_tensors(path, FORMAT, FORMAT_VERSION)
    try:
        found = {
            name: HeadUncertainty(covariance=_whole(state.pop(f"{name}.covariance")), **numbers)
            for name, numbers in header["heads"].items()
        }
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise WeightsError(f"{path} holds no complete uncertainty: {error}") from error
    if state:
        raise WeightsError(f"{path}: unknown tensors {listing(state)}")
    for name, head in found.items():
        if not torch.isfinite(head.covariance).all() or not head.scale > 0.0:
            raise WeightsError(f"{path}: the covariance or scale of {name} is not finite")
    return found


def of_model(
    heads: Mapping[str, HeadUncertainty], model: FoundationModel, origin: str | Path
) -> dict[str, HeadUncertainty]:
    """Uncertainties in the order of the model's heads, if they fit.

    Args:
        heads: from a file.
        model: whose they should be.
        origin: the file, for the message.

    Raises:
        WeightsError: a head that the model does not have, or one of another width.
    """
    unknown = sorted(set(heads) - set(model.head_names))
    wrong = [
        name
        for name, head in heads.items()
        if name in model.head_names and len(head.covariance) != model.head(name).last_width + 1
    ]
    if unknown or wrong:
        raise WeightsError(
            f"{origin} is of another model: it has {listing(unknown)} besides the model's heads, "
            f"and {listing(wrong)} of another width; make it for this model: python -m training "
            "uncertainty"
        )
    return {name: heads[name] for name in model.head_names if name in heads}


def _half(matrix: Tensor) -> Tensor:
    """[D, D] symmetric -> [D (D + 1) / 2]."""
    row, column = _places(len(matrix))
    return matrix[row, column]


def _whole(half: Tensor) -> Tensor:
    """What `_half` was given."""
    size = int((2 * len(half)) ** 0.5)
    row, column = _places(size)
    matrix = half.new_zeros(size, size)
    matrix[row, column] = half
    matrix[column, row] = half
    return matrix


def _places(size: int) -> Sequence[Tensor]:
    return torch.tril_indices(size, size).unbind(0)
