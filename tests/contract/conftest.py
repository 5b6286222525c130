"""Tiny models of every backbone with every kernel, with random weights, in float64."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
import torch

from atomfm_calc.models import BACKBONES
from atomfm_calc.models.architecture import (
    Architecture,
    EnergyHeadConfig,
    HydraPainnConfig,
    PainnConfig,
)
from atomfm_calc.models.family_sizes import (
    DimenetConfig,
    EgnnConfig,
    MaceConfig,
    PnaeqConfig,
    SchnetConfig,
)
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.sample import Sample
from tests.made.kernels import ON_CPU
from tests.made.structures import STRUCTURES
from tests.made.tolerances import TOLERANCES, Tolerances

HEADS = ("first", "second", "third")
SMALL_FAMILIES: dict[str, Any] = {
    "schnet": SchnetConfig(n_features=8, n_filters=6, n_gaussians=12, n_layers=2, cutoff=4.1),
    "egnn": EgnnConfig(n_features=8, n_layers=2, cutoff=4.1),
    "dimenet": DimenetConfig(
        n_features=8, n_layers=1, n_radial=4, n_spherical=4, basis_width=4, interaction_width=6,
        output_width=8, cutoff=4.1,
    ),
    "mace": MaceConfig(
        n_channels=4, n_layers=2, n_radial=5, max_ell=2, correlation=2, radial_hidden=(8,),
        typical_neighbors=4, cutoff=4.1,
    ),
    "pnaeq": PnaeqConfig(n_features=8, n_layers=2, n_radial=6, cutoff=4.1),
}  # fmt: skip


def tiny_model(backbone: str, kernel: str, seed: int = 0) -> FoundationModel:
    """Random weights, references of some eV, repulsion and conditioning switched on."""
    return copy.deepcopy(_built(backbone, kernel, seed))


@cache
def _built(backbone: str, kernel: str, seed: int) -> FoundationModel:
    architecture = Architecture(
        backbone=backbone,
        painn=PainnConfig(n_features=8, n_layers=2, n_radial=6, cutoff=4.1),
        hydra_painn=HydraPainnConfig(
            n_features=8, n_layers=2, n_radial=6, cutoff=4.1, activation="silu"
        ),
        **SMALL_FAMILIES,
        head=EnergyHeadConfig(hidden=(6,)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FoundationModel(architecture, HEADS, kernel)
        for head in model.heads.values():
            head.references.normal_(std=3.0)
            head.scale.fill_(1.7)
    return model.to(torch.float64).requires_grad_(False)


KERNELS_OF = {"painn": ON_CPU, "hydra_painn": ON_CPU}
"""The other families have no kernel; the models say "reference" of them."""
PAIRS = [(name, kernel) for name in BACKBONES for kernel in KERNELS_OF.get(name, ("reference",))]

EXTENSIVE, SINGLETS_AS_THEY_ARE = "extensive", "singlets as they are"
NOT_CLAIMED = {"hydra_painn": (EXTENSIVE, SINGLETS_AS_THEY_ARE)}
"""What a backbone's physics does not have; every other one keeps every test. HydraGNN's heads read
pooled features and its conditioning tells a neutral singlet that it is one."""


def claiming(claim: str) -> list[tuple[str, str]]:
    """The pairs whose backbone claims a property that not all have."""
    return [pair for pair in PAIRS if claim not in NOT_CLAIMED.get(pair[0], ())]


@pytest.fixture(params=PAIRS, ids="-".join)
def model(request: pytest.FixtureRequest) -> FoundationModel:
    return tiny_model(*request.param)


@pytest.fixture(params=claiming(EXTENSIVE), ids="-".join)
def extensive_model(request: pytest.FixtureRequest) -> FoundationModel:
    """A model whose energy is a sum over atoms that see no farther than the layers reach."""
    return tiny_model(*request.param)


@pytest.fixture(params=claiming(SINGLETS_AS_THEY_ARE), ids="-".join)
def embedding_model(request: pytest.FixtureRequest) -> FoundationModel:
    """A model whose `backbone.electronic` leaves neutral singlets as they are."""
    return tiny_model(*request.param)


@pytest.fixture(params=list(STRUCTURES))
def structure(request: pytest.FixtureRequest) -> Sample:
    return STRUCTURES[request.param]


@pytest.fixture
def tolerance() -> Tolerances:
    return TOLERANCES[torch.float64]
