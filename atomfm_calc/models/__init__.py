"""The networks: backbones by name, heads, and the model that joins them. Tensors only."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from atomfm_calc.errors import lookup
from atomfm_calc.kernels import find_kernel
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.egnn import Egnn
from atomfm_calc.models.hydra_painn import HydraPainn
from atomfm_calc.models.painn import Painn
from atomfm_calc.models.pnaeq import Pnaeq
from atomfm_calc.packages import require


def _build_painn(architecture: Architecture, kernel: str) -> nn.Module:
    return Painn(architecture.painn, find_kernel(kernel))


def _build_hydra_painn(architecture: Architecture, kernel: str) -> nn.Module:
    return HydraPainn(architecture.hydra_painn, find_kernel(kernel))


def _build_schnet(architecture: Architecture, kernel: str) -> nn.Module:
    require("torch_geometric")
    from atomfm_calc.models.schnet import Schnet

    return Schnet(architecture.schnet)


def _build_egnn(architecture: Architecture, kernel: str) -> nn.Module:
    return Egnn(architecture.egnn)


def _build_dimenet(architecture: Architecture, kernel: str) -> nn.Module:
    require("torch_geometric")
    from atomfm_calc.models.dimenet import Dimenet

    return Dimenet(architecture.dimenet)


def _build_mace(architecture: Architecture, kernel: str) -> nn.Module:
    require("mace")
    from atomfm_calc.models.mace import Mace

    return Mace(architecture.mace)


def _build_pnaeq(architecture: Architecture, kernel: str) -> nn.Module:
    return Pnaeq(architecture.pnaeq)


BACKBONES: dict[str, Callable[[Architecture, str], nn.Module]] = {
    "painn": _build_painn,
    "schnet": _build_schnet,
    "egnn": _build_egnn,
    "dimenet": _build_dimenet,
    "mace": _build_mace,
    "pnaeq": _build_pnaeq,
    "hydra_painn": _build_hydra_painn,
}
"""Graph -> `AtomFeatures`; each has its sizes in the section of `Architecture` of the same name. A
backbone has the attributes `n_features`, `cutoff` (Å), `blocks`, `recompute` and `pools` (whether
energy heads read pooled features, so that atoms have no energies), and `kernel` if it uses one."""


def build_backbone(architecture: Architecture, kernel: str = "reference") -> nn.Module:
    """The backbone that `architecture` names, with fresh weights.

    Raises:
        UnknownNameError: no such backbone or kernel.
        SetupError: a kernel or backbone that needs a package which is not installed.
    """
    return lookup(BACKBONES, architecture.backbone, "backbone")(architecture, kernel)
