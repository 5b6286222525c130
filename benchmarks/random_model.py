"""Random weights of PaiNN in the size of the comparisons, as a calculator wants them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from atomfm_calc.calculators.evaluator import Evaluator
from atomfm_calc.calculators.setup import CalculatorSettings, prepare_model
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.weights import WEIGHTS_FILE, save_weights
from atomfm_calc.registry.card import HeadInfo, ModelCard, save_card

CUTOFF = 5.0
"""Å"""
ELEMENTS = ("H", "C", "N", "O", "Mg", "Si")


def make_model(
    n_heads: int, hidden: tuple[int, ...], n_features: int = 128, kernel: str = "reference"
) -> FoundationModel:
    """4 layers, 20 radial functions; frozen."""
    torch.manual_seed(0)
    architecture = Architecture(
        painn=PainnConfig(n_features=n_features, n_layers=4, n_radial=20, cutoff=CUTOFF),
        head=EnergyHeadConfig(hidden=hidden),
    )
    names = [f"head-{index}" for index in range(n_heads)]
    return FoundationModel(architecture, names, kernel).requires_grad_(False).eval()


def make_evaluator(
    kernel: str | None, n_heads: int, hidden: tuple[int, ...], device: str = "cpu"
) -> Evaluator:
    """The model with a card, as a calculator has it."""
    model = make_model(n_heads, hidden)
    info = HeadInfo(
        title="random weights", theory="none", code="none", data="none", source="benchmark",
        licence="none", elements=dict.fromkeys(ELEMENTS, 1), labels={"energy": 1, "forces": 1},
        n_structures={"train": 1, "validation": 1, "test": 1},
        periodicity=("molecule", "crystal"), energy_zero="nothing",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        card = ModelCard(
            name="random", version="0.0.1", title="random weights", description="Not trained.",
            licence="none", citation="none", default_head="head-0",
            default_head_reason="the first", heads=dict.fromkeys(model.head_names, info),
            weights_sha256=save_weights(model, path / WEIGHTS_FILE),
        )  # fmt: skip
        save_card(card, path)
        settings = CalculatorSettings(device=device, kernel=kernel)
        return Evaluator(prepare_model(path, settings), settings)
