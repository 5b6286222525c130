"""The networks: backbones by name, heads, and the model that joins them. Tensors only."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from atomfm_calc.errors import lookup
from atomfm_calc.kernels import find_kernel
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.hydra_painn import HydraPainn
from atomfm_calc.models.painn import Painn


def _build_painn(architecture: Architecture, kernel: str) -> nn.Module:
    return Painn(architecture.painn, find_kernel(kernel))


def _build_hydra_painn(architecture: Architecture, kernel: str) -> nn.Module:
    return HydraPainn(architecture.hydra_painn, find_kernel(kernel))


BACKBONES: dict[str, Callable[[Architecture, str], nn.Module]] = {
    "painn": _build_painn,
    "hydra_painn": _build_hydra_painn,
}
"""Graph -> `AtomFeatures`; a backbone has the attributes `n_features`, `cutoff` (Å) and `pools`
(whether energy heads read pooled features, so that atoms have no energies)."""


def build_backbone(architecture: Architecture, kernel: str = "reference") -> nn.Module:
    """The backbone that `architecture` names, with fresh weights.

    Raises:
        UnknownNameError: no such backbone or kernel.
        SetupError: a kernel that needs a package which is not installed.
    """
    return lookup(BACKBONES, architecture.backbone, "backbone")(architecture, kernel)
