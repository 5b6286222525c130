"""A run at one moment: taken from all ranks, given back to any number of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from atomfm_calc.config import config_to_dict
from atomfm_calc.errors import TrainingError, listing
from atomfm_calc.models.foundation import FoundationModel
from training.engine.checkpoint import (
    CHECKPOINT_FILE,
    Checkpoint,
    load_checkpoint,
    load_optimizer,
    optimizer_tensors,
)
from training.engine.ema import MovingAverage
from training.engine.run_facts import RunFacts


def take(
    model: FoundationModel,
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
    state: Mapping[str, Any],
    loader_state: Mapping[str, Any],
    run: RunFacts,
) -> Checkpoint:
    """The whole run; called by all ranks, whole on rank 0.

    Args:
        model: of this rank.
        optimizer: of its parameters.
        average: of its parameters.
        state: the same on all ranks, as JSON can hold it.
        loader_state: of this rank's streams.
        run: the strategy and the heads.
    """
    strategy = run.strategy
    streams: dict[str, Any] = {}
    for part in strategy.gather(dict(loader_state)):
        streams |= part
    return Checkpoint(
        model=strategy.whole(model.state_dict()),
        average=strategy.whole(average.state_dict()),
        optimizer=strategy.whole(optimizer_tensors(optimizer, model)),
        state={
            **state,
            "loader": streams,
            "heads": list(run.heads),
            "data": run.fingerprint,
            "architecture": config_to_dict(model.architecture),
        },
    )


def give_back(
    folder: Path,
    model: FoundationModel,
    optimizer: torch.optim.Optimizer,
    average: MovingAverage,
    run: RunFacts,
) -> dict[str, Any]:
    """Put the latest checkpoint of a folder into this rank's parts; returns its `state`.

    Raises:
        TrainingError: it belongs to another run.
    """
    checkpoint = load_checkpoint(folder)
    state = checkpoint.state
    if tuple(state["heads"]) != run.heads or state["data"] != run.fingerprint:
        raise TrainingError(
            f"{folder / CHECKPOINT_FILE} was made with other heads or other data "
            f"(heads {listing(state['heads'])}); use start_from for its weights alone"
        )
    part_of = run.strategy.part_of
    _copy(model, checkpoint.model, run)
    average.load_state_dict(
        {name: part_of(checkpoint.average[name], own) for name, own in average.state_dict().items()}
    )
    load_optimizer(optimizer, model, checkpoint.optimizer, part_of)
    return state


def _copy(model: nn.Module, whole: Mapping[str, Tensor], run: RunFacts) -> None:
    with torch.no_grad():
        for name, own in model.state_dict().items():
            own.copy_(run.strategy.part_of(whole[name], own))
