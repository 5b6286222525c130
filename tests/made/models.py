"""Tiny models with random weights, and model folders with a card like the shipped one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, PainnConfig
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.gate import CompositionGate, Reads
from atomfm_calc.models.uncertainty import HeadUncertainty
from atomfm_calc.models.weights import WEIGHTS_FILE, save_weights
from atomfm_calc.registry.card import HeadInfo, ModelCard, save_card
from atomfm_calc.registry.catalog import add_gate, add_uncertainties

MOLECULES = ("H", "C", "N", "O", "Ar")
CRYSTALS = ("O", "Na", "Al", "Si", "Cl", "Fe", "Cu")


def head_info(elements: tuple[str, ...], **changes: object) -> HeadInfo:
    """A complete card of one head; `changes` replace fields."""
    fields: dict[str, object] = {
        "title": "random weights",
        "theory": "PBE",
        "code": "none",
        "data": "none",
        "source": "tests",
        "licence": "BSD-3-Clause",
        "elements": dict.fromkeys(elements, 10),
        "n_structures": {"train": 10, "validation": 1, "test": 1},
        "periodicity": ("molecule", "3d"),
        "labels": {"energy": 10, "forces": 10},
        "energy_zero": "nothing",
    }
    return HeadInfo(**(fields | changes))


HEADS: dict[str, HeadInfo] = {
    "crystals": head_info(CRYSTALS, periodicity=("3d",)),
    "molecules": head_info(MOLECULES, theory="wB97X-D3", periodicity=("molecule",)),
    "ions": head_info(
        MOLECULES,
        theory="GFN2-xTB",
        uses_charge=True,
        charges=(-1, 0, 1),
        multiplicities=(1, 2, 3),
    ),
    "everything": head_info((*MOLECULES, *CRYSTALS)),
}
"""One head for each rule that the calculator has to keep; the first is the default."""


def small_model(
    heads: tuple[str, ...] = tuple(HEADS), *, n_features: int = 8, seed: int = 0
) -> FoundationModel:
    """Random weights and references; the caller's random numbers are not disturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        architecture = Architecture(
            painn=PainnConfig(n_features=n_features, n_layers=2, n_radial=6, cutoff=4.0),
            head=EnergyHeadConfig(hidden=(n_features,)),
        )
        model = FoundationModel(architecture, heads)
        for name in heads:
            head = model.head(name)
            head.references.copy_(-10.0 * torch.rand(head.references.shape, dtype=torch.float64))
            head.scale.fill_(0.5)
    return model.eval().requires_grad_(False)


def make_model_folder(
    path: Path,
    heads: Mapping[str, HeadInfo] = HEADS,
    *,
    n_features: int = 8,
    seed: int = 0,
    name: str = "tiny",
) -> Path:
    """Write weights and card of a `small_model`; the first head is the default."""
    path.mkdir(parents=True, exist_ok=True)
    model = small_model(tuple(heads), n_features=n_features, seed=seed)
    card = ModelCard(
        name=name,
        version="0.0.1",
        title="random weights for tests",
        description="Not trained.",
        licence="BSD-3-Clause",
        citation="none",
        weights_sha256=save_weights(model, path / WEIGHTS_FILE),
        default_head=next(iter(heads)),
        default_head_reason="the first",
        heads=dict(heads),
    )
    save_card(card, path)
    return path


def small_gate(
    heads: tuple[str, ...] = tuple(HEADS), reads: Reads = "fractions"
) -> CompositionGate:
    """A gate with random weights that knows water, ethanol, argon and rock salt."""
    known = torch.zeros(4, 118)
    for row, (numbers, counts) in enumerate(
        [((1, 8), (2, 1)), ((1, 6, 8), (6, 2, 1)), ((18,), (1,)), ((11, 17), (1, 1))]
    ):
        known[row, torch.tensor(numbers) - 1] = torch.tensor(counts) / sum(counts)
    gate = CompositionGate(heads, [5], reads=reads, training_fractions=known, reach=0.2)
    generator = torch.Generator().manual_seed(3)
    for layer in gate.layers:
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator).double()
    return gate.eval().requires_grad_(False)


def make_mixture_folder(path: Path, reads: Reads = "fractions") -> Path:
    """A model folder with the `small_gate`."""
    add_gate(make_model_folder(path), small_gate(reads=reads), {})
    return path


def make_uncertain_folder(
    path: Path, heads: Sequence[str] = ("molecules", "everything"), usual: float = 1e9
) -> Path:
    """A model folder of which some heads know their uncertainty: one of made-up features."""
    make_model_folder(path)
    generator = torch.Generator().manual_seed(5)
    known = {}
    for name in heads:
        features = torch.rand(30, 9, generator=generator, dtype=torch.float64)
        known[name] = HeadUncertainty(
            covariance=features.T @ features / 30,
            regularization=1e-6,
            scale=0.1,
            usual=usual,
            n_training=30,
            n_calibration=5,
        )
    add_uncertainties(path, known, {}, {})
    return path
