"""The model that a run begins with."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from atomfm_calc.config import parse_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.weights import WEIGHTS_FILE, read_file
from training.config import PretrainConfig
from training.engine.checkpoint import load_checkpoint
from training.training_data import TrainingData

logger = logging.getLogger(__name__)

FRESH_HEAD_SCALE = 0.1
"""Factor on the last layer of a fresh head."""


def start_model(config: PretrainConfig) -> tuple[FoundationModel, tuple[str, ...]]:
    """The model at the beginning, and the heads whose weights are fresh."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.start_from is None:
            return FoundationModel(config.architecture, config.heads, config.kernel), config.heads
        architecture, names, state = read_start(config.start_from)
        offset = config.architecture.painn.norm_offset
        architecture = replace(architecture, painn=replace(architecture.painn, norm_offset=offset))
        kept = [name for name in names if name in config.heads]
        fresh = tuple(name for name in config.heads if name not in kept)
        # heads stand in the order of the configuration, which is that of head indices
        model = FoundationModel(architecture, config.heads, config.kernel)
        dropped = tuple(f"heads.{name}." for name in names if name not in kept)
        state = {name: value for name, value in state.items() if not name.startswith(dropped)}
        missing = model.load_state_dict(state, strict=False).missing_keys
        expected = tuple(f"heads.{name}." for name in fresh)
        unknown = [name for name in missing if not name.startswith(expected)]
        if unknown:
            raise ConfigError(f"{config.start_from} lacks the tensors {unknown}")
    logger.info("starting from %s; heads taken: %s, new: %s", config.start_from, kept, fresh)
    return model, fresh


def read_start(path: Path) -> tuple[Architecture, list[str], dict[str, torch.Tensor]]:
    """Architecture, head names and tensors of a model folder, a run folder or a checkpoint file.

    Of a checkpoint, the averaged weights are taken.
    """
    if (path / WEIGHTS_FILE).is_file():
        header, state = read_file(path / WEIGHTS_FILE)
        content, heads = header["architecture"], header["heads"]
    else:
        checkpoint = load_checkpoint(path)
        state = checkpoint.model | checkpoint.average
        content, heads = checkpoint.state["architecture"], checkpoint.state["heads"]
    return parse_config(Architecture, content, origin=str(path)), list(heads), dict(state)


def set_statistics(model: FoundationModel, name: str, data: TrainingData) -> None:
    """Put the fitted references and scale into a fresh head, which begins close to them."""
    head = model.head(name)
    with torch.no_grad():
        last = cast(torch.nn.Linear, head.network[-1])
        last.weight.mul_(FRESH_HEAD_SCALE)
        last.bias.zero_()
    head.references.copy_(torch.from_numpy(data.references[name]))
    head.scale.fill_(data.scales[name])
