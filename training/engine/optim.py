"""Optimizers by name, and the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from atomfm_calc.errors import lookup
from training.config import OptimizerConfig

SMALLEST_WARMUP = 0.01
"""Of the full rate, in the first step."""
RATE_FACTOR = "rate_factor"
"""Entry of an optimizer's groups: their part of the learning rate."""


def make_adamw(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """AdamW with weight decay on the matrices of linear layers only."""
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    groups: dict[tuple[float, float, type], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_matrix = parameter.ndim > 1 and id(parameter) not in embeddings
            decay = config.weight_decay if is_matrix else 0.0
            # sharded and whole parameters do not go into one fused update (torch 2.13)
            factor = rate_factor(name, config.rate_factors)
            groups.setdefault((decay, factor, type(parameter.data)), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "weight_decay": decay, RATE_FACTOR: factor}
            for (decay, factor, _), members in groups.items()
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


def rate_factor(name: str, factors: Mapping[str, float]) -> float:
    """Factor on the learning rate of a parameter: that of the longest beginning of its name."""
    fitting = [beginning for beginning in factors if name.startswith(beginning)]
    return factors[max(fitting, key=len)] if fitting else 1.0


def learning_rate(config: OptimizerConfig, fraction: float) -> float:
    """Learning rate at a part of the duration (0 to 1): warm-up times half a cosine."""
    fraction = min(max(fraction, 0.0), 1.0)
    cosine = 0.5 * (1.0 + math.cos(math.pi * fraction))
    value = config.end_learning_rate + (config.learning_rate - config.end_learning_rate) * cosine
    if fraction >= config.warmup_fraction:
        return value
    return value * max(fraction / config.warmup_fraction, SMALLEST_WARMUP)
