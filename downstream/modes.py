"""What is trained of a model, by name; the names stand in tables and folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from torch import nn

from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.models.foundation import FoundationModel
from downstream.lora import add_low_rank
from downstream.recipe import Adapt

Train = Literal["head", "last-1", "last-2", "all", "lora"]


@dataclass(frozen=True, kw_only=True)
class Mode:
    """Where the weights come from and which of them are trained."""

    start: Literal["pretrained", "scratch"]
    """As in `Adapt`."""
    train: Train
    """As in `Adapt`."""


MODES: dict[str, Mode] = {
    "scratch": Mode(start="scratch", train="all"),
    "frozen": Mode(start="pretrained", train="head"),
    "last-1": Mode(start="pretrained", train="last-1"),
    "last-2": Mode(start="pretrained", train="last-2"),
    "full": Mode(start="pretrained", train="all"),
    "lora": Mode(start="pretrained", train="lora"),
}
"""Word in tables -> what is done."""
COMPARED = ("scratch", "frozen", "full", "lora")
"""What a comparison compares."""


def mode_name(adapt: Adapt) -> str:
    """The word for the settings of a recipe.

    Raises:
        ConfigError: a part of a network with fresh weights is to be trained.
    """
    wanted = Mode(start=adapt.start, train=adapt.train)
    for name, mode in MODES.items():
        if mode == wanted:
            return name
    raise ConfigError(
        f"adapt.start {adapt.start} with adapt.train {adapt.train}: what begins from scratch is "
        "trained as a whole; set adapt.train to all"
    )


def free_weights(backbone: nn.Module, train: Train, adapt: Adapt) -> None:
    """Let exactly the backbone's weights that `train` names require gradients."""
    lookup(_FREE, train, "adapt.train")(backbone, adapt)


def rate_factors(model: FoundationModel, mode: Mode, adapt: Adapt) -> Mapping[str, float]:
    """Beginnings of parameter names -> part of the heads' learning rate.

    The last block has `backbone_rate`, each block before it `layer_decay` of the one after it.
    Fresh weights and low-rank additions have the rate of the heads.
    """
    if mode.start == "scratch" or mode.train == "lora":
        return {}
    blocks = _blocks(model.backbone)
    factors = {"backbone.": adapt.backbone_rate * adapt.layer_decay ** len(blocks)}
    names = {id(module): name for name, module in model.named_modules()}
    for number, block in enumerate(reversed(blocks)):
        for module in block:
            factors[f"{names[id(module)]}."] = adapt.backbone_rate * adapt.layer_decay**number
    return factors


def _blocks(backbone: nn.Module) -> list[tuple[nn.Module, ...]]:
    """The layers of a backbone from first to last, each with all its parts.

    A layer of PaiNN is a message and an update block.
    """
    blocks = cast(list[nn.Module], backbone.blocks)
    lists = [part for part in backbone.children() if isinstance(part, nn.ModuleList)]
    n_layers = min((len(part) for part in lists), default=len(blocks))
    each = len(blocks) // n_layers
    return [tuple(blocks[i : i + each]) for i in range(0, len(blocks), each)]


def _nothing(backbone: nn.Module, adapt: Adapt) -> None:
    backbone.requires_grad_(False)


def _everything(backbone: nn.Module, adapt: Adapt) -> None:
    backbone.requires_grad_(True)


def _low_rank(backbone: nn.Module, adapt: Adapt) -> None:
    add_low_rank(backbone, adapt.lora_rank)


def _last(n_layers: int) -> Callable[[nn.Module, Adapt], None]:
    def free(backbone: nn.Module, adapt: Adapt) -> None:
        backbone.requires_grad_(False)
        for block in _blocks(backbone)[-n_layers:]:
            for module in block:
                module.requires_grad_(True)

    return free


_FREE: dict[str, Callable[[nn.Module, Adapt], None]] = {
    "head": _nothing,
    "last-1": _last(1),
    "last-2": _last(2),
    "all": _everything,
    "lora": _low_rank,
}
