"""Tiny models of every backbone with every kernel, with random weights, in float64."""

from __future__ import annotations

import pytest
import torch

from atomfm_calc.models import BACKBONES
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
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


@pytest.fixture(params=PAIRS, ids="-".join)
def model(request: pytest.FixtureRequest) -> FoundationModel:
    return tiny_model(*request.param)


@pytest.fixture(params=list(STRUCTURES))
def structure(request: pytest.FixtureRequest) -> Sample:
    return STRUCTURES[request.param]


@pytest.fixture
def tolerance() -> Tolerances:
    return TOLERANCES[torch.float64]
