"""The activation functions that HydraGNN's configurations name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from atomfm_calc.errors import lookup

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "selu": nn.SELU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "lrelu_01": partial(nn.LeakyReLU, 0.1),
    "lrelu_025": partial(nn.LeakyReLU, 0.25),
    "lrelu_05": partial(nn.LeakyReLU, 0.5),
    "sigmoid": nn.Sigmoid,
}
"""By HydraGNN's name. "prelu" has a slope to train, one wherever it is used; a checkpoint of
HydraGNN has one slope for all places, so that a model made from it begins with equal ones."""


def find_activation(name: str) -> Callable[[], nn.Module]:
    """What makes the activation function of a name; UnknownNameError lists what there is."""
    return lookup(ACTIVATIONS, name, "activation function")
