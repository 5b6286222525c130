"""Tiny models of every backbone with every kernel, with random weights, in float64."""

from __future__ import annotations

import pytest
import torch

from atomfm_calc.models import BACKBONES
from atomfm_calc.models.architecture import (
    Architecture,
    EnergyHeadConfig,
    HydraPainnConfig,
    PainnConfig,
)
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.sample import Sample
from tests.made.kernels import ON_CPU
from tests.made.structures import STRUCTURES
from tests.made.tolerances import TOLERANCES, Tolerances

HEADS = ("first", "second", "third")


def tiny_model(backbone: str, kernel: str, seed: int = 0) -> FoundationModel:
    """Random weights, references of some eV, repulsion and conditioning switched on."""
    architecture = Architecture(
        backbone=backbone,
        painn=PainnConfig(n_features=8, n_layers=2, n_radial=6, cutoff=4.1),
        hydra_painn=HydraPainnConfig(
            n_features=8, n_layers=2, n_radial=6, cutoff=4.1, activation="silu"
        ),
        head=EnergyHeadConfig(hidden=(6,)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FoundationModel(architecture, HEADS, kernel)
        for head in model.heads.values():
            head.references.normal_(std=3.0)
            head.scale.fill_(1.7)
    return model.to(torch.float64).requires_grad_(False)


PAIRS = [(backbone, kernel) for backbone in BACKBONES for kernel in ON_CPU]

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
