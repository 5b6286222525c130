"""One training run: configuration -> run folder."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from atomfm_calc.config import dump_config, load_config, parse_config
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.weights import WEIGHTS_FILE, read_file
from training.assemble import SUMMARY_FILE, Index, TrainingData, assemble
from training.config import DurationConfig, MixingConfig, PretrainConfig
from training.data.batching import MixedSampler
from training.data.loader import FixedLoader, TrainingLoader
from training.data.mixing import weights
from training.engine.checkpoint import CHECKPOINT_FILE, load_checkpoint
from training.engine.trainer import FitResult, Trainer

logger = logging.getLogger(__name__)

FRESH_HEAD_SCALE = 0.1
"""Factor on the last layer of a fresh head."""
CONFIG_FILE = "config.yaml"
"""The resolved configuration in the run folder."""


def pretrain(config: PretrainConfig, resume: bool = False) -> FitResult:
    """Train and leave configuration, data summary, checkpoint and metrics in `config.output`.

    Args:
        config: the run.
        resume: go on from the checkpoint in `config.output`, with the same data files.

    Raises:
        ConfigError: the folder holds a run already (or none to resume).
    """
    folder = config.output
    exists = (folder / CHECKPOINT_FILE).exists()
    if exists and not resume:
        raise ConfigError(f"{folder} holds a run already; add --resume or choose another output")
    if resume and not exists:
        raise ConfigError(f"{folder} holds no checkpoint to resume; leave --resume out")
    torch.set_num_threads(config.threads)
    model, fresh = start_model(config)
    data_config = replace(config.data, files_of_run=folder) if resume else config.data
    data = assemble(config.heads, data_config, model.cutoff)
    for name in fresh:
        set_statistics(model, name, data)
    model.to(torch.device(config.device))
    folder.mkdir(parents=True, exist_ok=True)
    dump_config(config, folder / CONFIG_FILE)
    write_summary(data, folder)
    trainer = make_trainer(config, model, data)
    if resume:
        trainer.resume()
    logger.info("training %d parameters", sum(p.numel() for p in model.parameters()))
    return trainer.fit()


def load_run_config(folder: Path) -> PretrainConfig:
    """The resolved configuration of a run folder."""
    return load_config(PretrainConfig, folder / CONFIG_FILE)


def alone_config(run: Path, head: str, structures_per_batch: int) -> PretrainConfig:
    """The baseline of one head of a finished run: from scratch, on its own data, same budget.

    The budget is the number of that head's structures that the run has drawn. Smaller batches give
    the baseline about as many optimizer steps; full ones would leave it a few hundred.

    Args:
        run: folder of the joint run.
        head: one of its heads.
        structures_per_batch: at most, in the baseline.

    Raises:
        UnknownNameError: the run has no such head.
    """
    config = load_run_config(run)
    seen = load_checkpoint(run).state["samples_seen"]
    duration = DurationConfig(max_samples=lookup(seen, head, "head", str(run)))
    loss = replace(config.fit.loss, head_weights={})
    return replace(
        config,
        output=run / "alone" / head,
        heads=(head,),
        start_from=None,
        data=replace(config.data, files_of_run=run),
        mixing=MixingConfig(),
        batch=replace(config.batch, max_structures=structures_per_batch),
        fit=replace(config.fit, duration=duration, loss=loss),
    )


def start_model(config: PretrainConfig) -> tuple[FoundationModel, tuple[str, ...]]:
    """The model at the beginning, and the heads whose weights are fresh."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if config.start_from is None:
            return FoundationModel(config.architecture, config.heads, config.kernel), config.heads
        architecture, names, state = read_start(config.start_from)
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


def write_summary(data: TrainingData, folder: Path) -> None:
    """Save what the run is trained on."""
    text = json.dumps(data.summary, indent=1)
    (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")


def make_trainer(config: PretrainConfig, model: FoundationModel, data: TrainingData) -> Trainer:
    """Sampler, loaders and trainer of a run."""
    source = data.assembler.source
    mixing = config.mixing
    once = {head: data.splits[head]["train"] for head in config.heads}
    for head in mixing.periodic_repeats:
        lookup(once, head, "head", "this run")
    train = {
        head: _repeat_periodic(data, index, mixing.periodic_repeats.get(head, 1))
        for head, index in once.items()
    }
    probabilities = weights(
        {head: len(index) for head, index in once.items()},
        mixing.rule,
        mixing.temperature,
        mixing.factors,
    )
    for head, probability in probabilities.items():
        logger.info("%s: %.1f %% of the draws", head, 100.0 * probability)
    sizes = (source.n_atoms, source.n_edges)
    sampler = MixedSampler(train, probabilities, sizes, config.batch, config.seed)
    validation = validation_index(data, config.fit.validate_structures_per_head)
    return Trainer(
        model,
        TrainingLoader(data.assembler, sampler),
        FixedLoader(data.assembler, validation, config.batch),
        config.fit,
        config.output,
        data.fingerprint,
    )


def _repeat_periodic(data: TrainingData, index: Index, repeats: int) -> Index:
    if repeats == 1:
        return index
    source = data.assembler.source
    periodic = source.decode(source.fetch(index)).columns["pbc"].any(dim=1).numpy()
    return np.repeat(index, np.where(periodic, repeats, 1))


def validation_index(data: TrainingData, limit: int | None, split: str = "validation") -> Index:
    """Structures of a split, at most `limit` of each head, spread evenly over it."""
    chosen = []
    for parts in data.splits.values():
        index = parts[split]
        if limit is not None and len(index) > limit:
            index = index[np.linspace(0, len(index) - 1, limit).round().astype(np.int64)]
        chosen.append(index)
    return np.concatenate(chosen)
