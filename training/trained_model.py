"""A model, and the data that it was trained on, divided as it was then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from atomfm_calc.config import load_config
from atomfm_calc.registry.catalog import LoadedModel, load_model
from training.config import DataConfig, PretrainConfig
from training.pretrain import load_run_config


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What is needed to measure a model on structures that it has seen, and on others."""

    loaded: LoadedModel
    """The model."""
    run: PretrainConfig
    """The run that made it, or one with the same data."""
    data: DataConfig
    """Where its data is: of a finished run, the very files that it read."""


def load_trained(model: str, data: Path) -> TrainedModel:
    """A model and the configuration of its data; sets the number of threads to the run's.

    Args:
        model: name or folder.
        data: folder of the run that made the model, or a configuration with the same data: what
            was held out there is held out here.

    Raises:
        ConfigError, WeightsError, UnknownNameError: as in what it is made of.
    """
    run = load_run_config(data) if data.is_dir() else load_config(PretrainConfig, data)
    source = replace(run.data, files_of_run=data) if data.is_dir() else run.data
    torch.set_num_threads(run.threads)
    return TrainedModel(loaded=load_model(model, run.kernel), run=run, data=source)
