"""Property heads: from atom features to a scalar of a structure or an atom, or to classes.

A head speaks in the *learned* value: the property itself, or its logarithm (`transform`); for
classes, logits. `value` turns that into what the user asked for.

    learned = offset + references of the elements + scale x network(features)

Offset, references and scale are float64 buffers fitted to the training data, never trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from atomfm_calc.config import CONFIG
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.graph import AtomicGraph, sum_to_structures
from atomfm_calc.models.heads import perceptron
from atomfm_calc.models.precision import dense_layers
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

EXACT = ("references", "offset", "scale")
"""Buffers that stay in float64."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class PropertyHeadConfig:
    """What a property head predicts, and how; part of the model file."""

    kind: Literal["structure-scalar", "structure-class", "atom-scalar"]
    """Key of `HEADS`."""
    unit: str
    """Of the value; "1" for pure numbers and classes."""
    pooling: Literal["mean", "sum", "attention"] = "mean"
    """Of a structure's atoms; key of `POOLINGS`."""
    transform: Literal["none", "log10"] = "none"
    """From the value to what is learned; key of `TRANSFORMS`."""
    classes: tuple[str, ...] = ()
    """Names, for a class."""
    hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers."""

    def __post_init__(self) -> None:
        if (self.kind == "structure-class") != (len(self.classes) > 1):
            raise ConfigError(
                f"a head of kind {self.kind!r} with {len(self.classes)} classes: structure-class "
                "needs two or more, the other kinds none"
            )


class PropertyHead(nn.Module):
    """Parent of all: a network per atom and what was fitted to the training data."""

    references: Tensor
    offset: Tensor
    scale: Tensor

    def __init__(self, n_features: int, config: PropertyHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.n_outputs = max(1, len(config.classes))
        self.network = perceptron(n_features, config.hidden, self.n_outputs)
        zeros = torch.zeros(MAX_ATOMIC_NUMBER + 1, dtype=torch.float64)
        self.register_buffer("references", zeros)
        self.register_buffer("offset", torch.zeros(self.n_outputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow `.to` to another device, but keep what was fitted in float64."""
        exact = {name: getattr(self, name) for name in EXACT}
        super()._apply(fn, recurse)
        for name, value in exact.items():
            setattr(self, name, value.to(getattr(self, name).device))
        return self

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Features [N, F] -> learned values, float64: [S], [N], or logits [S, classes]."""
        raise NotImplementedError

    def value(self, learned: Tensor) -> Tensor:
        """What was asked for, from learned values: in `config.unit`, or class probabilities."""
        return TRANSFORMS[self.config.transform][1](learned)

    def learned(self, value: Tensor) -> Tensor:
        """Labels in `config.unit` -> what is learned of them; NaN stays NaN."""
        return TRANSFORMS[self.config.transform][0](value)


class StructureScalar(PropertyHead):
    """A number per structure: atoms' values, added up or averaged."""

    def __init__(self, n_features: int, config: PropertyHeadConfig) -> None:
        super().__init__(n_features, config)
        self.pooling = lookup(POOLINGS, config.pooling, "pooling")(n_features)

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Per structure: [S]."""
        with dense_layers(self):
            raw = self.network(scalars)[:, 0].to(torch.float64)  # [N]
        linear = self.references.index_select(0, graph.atomic_numbers)
        share = self.pooling(scalars, graph).to(torch.float64)[:, 0]
        if self.config.pooling != "sum":
            linear = linear * _mean_shares(graph)
        return self.offset + sum_to_structures(self.scale * share * raw + linear, graph)


class StructureClass(PropertyHead):
    """Logits of classes of a structure, from the atoms' mean features."""

    def __init__(self, n_features: int, config: PropertyHeadConfig) -> None:
        super().__init__(n_features, config)
        self.pooling = lookup(POOLINGS, config.pooling, "pooling")(n_features)

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Logits [S, classes]."""
        with dense_layers(self):
            raw = self.network(scalars).to(torch.float64)  # [N, C]
        share = self.pooling(scalars, graph).to(torch.float64)
        return self.offset + self.scale * sum_to_structures(share * raw, graph)

    def value(self, learned: Tensor) -> Tensor:
        """Probabilities [S, classes]."""
        return learned.softmax(dim=1)

    def learned(self, value: Tensor) -> Tensor:
        """Places of the classes, as they are."""
        return value


class AtomScalar(PropertyHead):
    """A number per atom."""

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Per atom: [N]."""
        with dense_layers(self):
            raw = self.network(scalars)[:, 0].to(torch.float64)
        linear = self.references.index_select(0, graph.atomic_numbers)
        return self.offset + linear + self.scale * raw


class Attention(nn.Module):
    """Shares of a structure's atoms that add up to 1, learned from their features."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.score = nn.Linear(n_features, 1)
        nn.init.zeros_(self.score.weight)  # begins as the mean
        nn.init.zeros_(self.score.bias)

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Shares [N, 1]."""
        score = self.score(scalars)  # [N, 1]
        largest = score.new_full((graph.n_structures, 1), -torch.inf)
        largest = largest.scatter_reduce(0, graph.batch[:, None], score.detach(), "amax")
        weight = torch.exp(score - largest.index_select(0, graph.batch))
        return weight / sum_to_structures(weight, graph).index_select(0, graph.batch)


class Mean(nn.Module):
    """Equal shares that add up to 1."""

    def __init__(self, n_features: int) -> None:
        super().__init__()

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Shares [N, 1]."""
        return _mean_shares(graph)[:, None]


class Sum(nn.Module):
    """Every atom counts whole: twice the structure, twice the value."""

    def __init__(self, n_features: int) -> None:
        super().__init__()

    def forward(self, scalars: Tensor, graph: AtomicGraph) -> Tensor:
        """Shares [N, 1]."""
        return torch.ones_like(scalars[:, :1])


HEADS: dict[str, Callable[[int, PropertyHeadConfig], PropertyHead]] = {
    "structure-scalar": StructureScalar,
    "structure-class": StructureClass,
    "atom-scalar": AtomScalar,
}
"""Number of features and configuration -> head."""

POOLINGS: dict[str, Callable[[int], nn.Module]] = {"mean": Mean, "sum": Sum, "attention": Attention}
"""Number of features -> share of each atom in its structure."""

TRANSFORMS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "none": (lambda value: value, lambda learned: learned),
    "log10": (torch.log10, lambda learned: torch.pow(10.0, learned)),
}
"""Value -> learned, and back."""


def make_property_head(n_features: int, config: PropertyHeadConfig) -> PropertyHead:
    """A head with fresh weights."""
    return lookup(HEADS, config.kind, "kind of property head")(n_features, config)


def _mean_shares(graph: AtomicGraph) -> Tensor:
    return (1.0 / graph.n_atoms.to(torch.float64)).index_select(0, graph.batch)
