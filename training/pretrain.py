"""One training run: configuration -> run folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from atomfm_calc.config import dump_config, load_config
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.models.foundation import FoundationModel
from training.assemble import assemble
from training.config import DurationConfig, MixingConfig, ParallelConfig, PretrainConfig
from training.data.loader import FixedLoader, TrainingLoader
from training.data.source import SampleSource
from training.data.streams import make_sampler
from training.engine.checkpoint import CHECKPOINT_FILE, load_checkpoint
from training.engine.interruption import StopRequest
from training.engine.precision import PRECISIONS, set_precision
from training.engine.run_facts import RunFacts
from training.engine.strategy import Strategy
from training.engine.trainer import FitResult, Trainer
from training.parallel.process import Place, launcher_place, process_group
from training.parallel.strategies import STRATEGIES
from training.plan import RunPlan, make_plan
from training.start import set_statistics, start_model
from training.training_data import Index, TrainingData

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.yaml"
"""The resolved configuration in the run folder."""


def pretrain(config: PretrainConfig, resume: bool = False) -> FitResult:
    """Train and leave configuration, data summary, checkpoint and metrics in `config.output`.

    Called by every process that a launcher started; each does its part.

    Args:
        config: the run.
        resume: go on from the checkpoint in `config.output`, with the same data files.

    Raises:
        ConfigError: the folder holds a run already (or none to resume), or the configuration does
            not fit the number of processes.
    """
    place = launcher_place()
    folder = config.output
    exists = (folder / CHECKPOINT_FILE).exists()
    if exists and not resume:
        raise ConfigError(f"{folder} holds a run already; add --resume or choose another output")
    if resume and not exists:
        raise ConfigError(f"{folder} holds no checkpoint to resume; leave --resume out")
    torch.set_num_threads(config.threads)
    # from here on: a signal that comes while data is read is heeded after the first step
    with StopRequest() as request, _joined(config, place) as device:
        trainer, source = _begin(config, resume, place, device)
        try:
            result = trainer.fit(request=request)
        finally:
            trainer.loader.close()
        source.close()  # by all ranks together, so not if one of them has failed
    return result


@contextmanager
def _joined(config: PretrainConfig, place: Place) -> Iterator[torch.device]:
    """All processes of the run in one group, unless there is one alone."""
    parallel = config.parallel
    if parallel.strategy == "single":
        yield torch.device(config.device)
        return
    seconds = 60.0 * parallel.timeout_minutes
    with process_group(place, config.device, parallel.backend, seconds) as device:
        yield device


def _begin(
    config: PretrainConfig, resume: bool, place: Place, device: torch.device
) -> tuple[Trainer, SampleSource]:
    """Everything up to the first step, and the source that is to be closed after the last."""
    folder, first = config.output, place.rank == 0
    model, fresh = start_model(config)
    data_config = replace(config.data, files_of_run=folder) if resume else config.data
    data = assemble(config.heads, data_config, model.cutoff)
    for name in fresh:
        set_statistics(model, name, data)
    sizes = {name: len(data.splits[name]["train"]) for name in config.heads}
    plan = make_plan(config, sizes, place.world_size)
    if first:
        folder.mkdir(parents=True, exist_ok=True)
        dump_config(config, folder / CONFIG_FILE)
        data.write_summary(folder)
        for line in plan.table().splitlines():
            logger.info("%s", line)
        logger.info("training %d parameters", sum(p.numel() for p in model.parameters()))
    trainer = make_trainer(config, model.to(device), data, plan)
    if resume:
        trainer.resume()
    return trainer, data.assembler.source


def make_trainer(
    config: PretrainConfig, model: FoundationModel, data: TrainingData, plan: RunPlan
) -> Trainer:
    """This rank's part of the model, loaders and trainer.

    Args:
        config: of the run.
        model: whole, on this rank's device; becomes this rank's part.
        data: of all heads.
        plan: of all ranks.
    """
    set_precision(model, PRECISIONS[config.fit.precision])
    model.set_recompute(config.fit.recompute)
    strategy: Strategy = STRATEGIES[config.parallel.strategy](plan.owners)
    strategy.prepare(model)
    source, prefetch = data.assembler.source, config.data.prefetch
    sampler = make_sampler(
        plan.of_rank(strategy.rank),
        _train_index(config, data),
        (source.n_atoms, source.n_edges),
        config.batch,
        config.seed,
    )
    limit = config.fit.validate_structures_per_head
    validation = validation_index(data, limit, owners=plan.owners, rank=strategy.rank)
    return Trainer(
        model,
        TrainingLoader(data.assembler, sampler, prefetch),
        FixedLoader(data.assembler, validation, config.batch, prefetch),
        config.fit,
        config.output,
        RunFacts(
            heads=config.heads,
            strategy=strategy,
            batches_per_rank=len(plan.streams) // plan.world_size,
            fingerprint=data.fingerprint,
        ),
    )


def _train_index(config: PretrainConfig, data: TrainingData) -> dict[str, Index]:
    """Structures per head, periodic ones as often as they are to be drawn in a pass."""
    train = {head: data.splits[head]["train"] for head in config.heads}
    source = data.assembler.source
    for head, repeats in config.mixing.periodic_repeats.items():
        index = lookup(train, head, "head", "this run")
        periodic = source.decode(source.fetch(index)).columns["pbc"].any(dim=1).numpy()
        train[head] = np.repeat(index, np.where(periodic, repeats, 1))
    return train


def validation_index(
    data: TrainingData,
    limit: int | None,
    split: str = "validation",
    owners: Mapping[str, Sequence[int]] | None = None,
    rank: int = 0,
) -> Index:
    """Structures of a split, at most `limit` of each head, spread evenly over it.

    Args:
        data: of all heads.
        limit: structures of each head, of all ranks together; None: all.
        split: "validation" or "test".
        owners: head -> ranks that share its structures; None: one rank has all.
        rank: whose part is wanted.
    """
    chosen = [np.zeros(0, dtype=np.int64)]
    for head, parts in data.splits.items():
        index = parts[split]
        if limit is not None and len(index) > limit:
            index = index[np.linspace(0, len(index) - 1, limit).round().astype(np.int64)]
        ranks = (0,) if owners is None else tuple(owners[head])
        if rank in ranks:
            chosen.append(index[ranks.index(rank) :: len(ranks)])
    return np.concatenate(chosen)


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
        parallel=ParallelConfig(),
        batch=replace(config.batch, max_structures=structures_per_batch),
        fit=replace(config.fit, duration=duration, loss=loss),
    )
