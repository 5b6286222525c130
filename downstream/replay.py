"""Data of the pretraining: against forgetting while fitting, and to measure what was forgotten."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import training
from atomfm_calc.config import load_config
from atomfm_calc.errors import ConfigError, DataError, UnknownNameError, listing
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import SplitErrors
from downstream.recipe import Replay
from downstream.reuse import LIMITS
from training.assemble import assemble, dataset_of
from training.config import DataConfig, PretrainConfig
from training.data.loader import FixedLoader
from training.data.packed import PackedGraphs
from training.data.source import MemorySource
from training.datasets.adapter import CollectionShards
from training.engine.metrics import evaluate_model, move
from training.pretrain import validation_index
from training.training_data import Index, TrainingData

logger = logging.getLogger(__name__)

TRAINING = Path(training.__file__).parent
PRETRAINING = TRAINING / "configs" / "pretrain" / "painn-lead-refine.yaml"
"""How the shipped model was trained: its division into training and validation structures."""
COLLECTION = TRAINING / "collection" / "reference"
"""The reference collection, in the repository."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainingData:
    """Structures of pretrained heads, divided as they were in pretraining."""

    data: TrainingData
    """Of `heads`, in this order."""
    heads: tuple[str, ...]
    """Those whose data is at hand."""
    absent: tuple[str, ...]
    """Pretrained heads whose data is not."""

    @property
    def source(self) -> MemorySource:
        """All structures of all heads."""
        source = self.data.assembler.source
        if not isinstance(source, MemorySource):
            raise DataError("pretraining data of replay must be in memory; give files, not shards")
        return source

    def graphs(self, index: Index) -> PackedGraphs:
        """Labeled structures by their places in `source`."""
        return self.source.decode(self.source.fetch(index))

    def training_index(self, replay: Replay, seed: int) -> dict[str, Index]:
        """Head -> a random part of the structures that it was trained on."""
        wanted = replay.heads or self.heads
        missing = [name for name in wanted if name not in self.heads]
        if missing:
            raise ConfigError(
                f"replay of {listing(missing)} needs their data, which is not here; at hand: "
                f"{listing(self.heads)}"
            )
        generator = np.random.default_rng([seed, 29])
        return {
            name: np.sort(
                generator.permutation(self.data.splits[name]["train"])[: replay.structures_per_head]
            )
            for name in wanted
        }

    def errors(self, model: FoundationModel, per_head: int) -> dict[str, SplitErrors]:
        """Validation errors of the pretrained heads of a model.

        Args:
            model: has the heads.
            per_head: validation structures of each.
        """
        device = next(model.backbone.parameters()).device
        index = validation_index(self.data, per_head)
        batches = FixedLoader(self.data.assembler, index, LIMITS)
        places = torch.tensor([model.head_names.index(name) for name in self.heads])
        found = evaluate_model(
            model, (move(batch, device, model.dtype, places) for batch in batches)
        )
        return found.result()


def pretraining_data(heads: Sequence[str], cutoff: float, cache: Path | None) -> PretrainingData:
    """Read the data of as many pretrained heads as are at hand.

    The collection is in the repository; published files are looked for where pretraining did.

    Args:
        heads: of the pretrained model.
        cutoff: Å.
        cache: folder of prepared graphs, so that the second run waits for seconds.

    Raises:
        DataError: no head's data is here, as in an installation without the repository.
    """
    config = replace(load_config(PretrainConfig, PRETRAINING).data, collection=COLLECTION)
    if cache is not None:
        config = replace(config, cache=cache)
    present = tuple(name for name in heads if _is_here(name, config))
    if not present:
        raise DataError(
            f"no data of the pretrained heads {listing(heads)} is in {COLLECTION} or "
            f"{config.root}; leave adapt.replay out, or work in a copy of the repository"
        )
    absent = tuple(name for name in heads if name not in present)
    if absent:
        logger.info("no data here of the pretrained heads %s", listing(absent))
    return PretrainingData(data=assemble(present, config, cutoff), heads=present, absent=absent)


def _is_here(head: str, config: DataConfig) -> bool:
    try:
        dataset = dataset_of(head, config)
        root = COLLECTION if isinstance(dataset, CollectionShards) else config.root
        return bool(dataset.files(root))
    except (DataError, UnknownNameError):  # a head of somebody else's data is one without data
        return False
