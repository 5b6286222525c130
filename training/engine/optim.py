"""Optimizers by name, and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from atomfm_calc.errors import lookup
from training.config import OptimizerConfig

SMALLEST_WARMUP = 0.01
"""Of the full rate, in the first step."""


def make_adamw(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW with weight decay on the matrices of linear layers only."""
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [p for p in trained if p.ndim > 1 and id(p) not in embeddings]
    others = [p for p in trained if p.ndim <= 1 or id(p) in embeddings]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )


OPTIMIZERS: dict[str, Callable[[nn.Module, OptimizerConfig], torch.optim.Optimizer]] = {
    "adamw": make_adamw
}
"""Model and configuration -> optimizer."""


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer that the configuration names; UnknownNameError if there is none."""
    return lookup(OPTIMIZERS, config.name, "optimizer")(model, config)


def learning_rate(config: OptimizerConfig, fraction: float) -> float:
    """Learning rate at a part of the duration (0 to 1): warm-up times half a cosine."""
    fraction = min(max(fraction, 0.0), 1.0)
    cosine = 0.5 * (1.0 + math.cos(math.pi * fraction))
    value = config.end_learning_rate + (config.learning_rate - config.end_learning_rate) * cosine
    if fraction >= config.warmup_fraction:
        return value
    return value * max(fraction / config.warmup_fraction, SMALLEST_WARMUP)
