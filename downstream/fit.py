"""One training of a recipe: data -> fitted model. The loop is that of `training.engine`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from atomfm_calc.kernels import best_kernel
from atomfm_calc.registry.catalog import load_model
from atomfm_calc.sample import Sample
from downstream.adapt import Adapted, adapt
from downstream.labeled import NO_HEAD, PropertyAssembler, label_tensors, pack_samples
from downstream.lora import merge_low_rank
from downstream.modes import MODES, rate_factors
from downstream.processes import ALONE, Processes
from downstream.recipe import Recipe
from downstream.replay import PretrainingData
from downstream.reuse import settle
from downstream.splits import Parts
from training.config import (
    DurationConfig,
    FitConfig,
    LossConfig,
    OptimizerConfig,
    PropertyLoss,
)
from training.data.batching import RoundRobin
from training.data.loader import Assembler, FixedLoader, TrainingLoader
from training.data.mixing import weights
from training.data.packed import PackedGraphs
from training.data.source import Index, JoinedSource, MemorySource
from training.data.streams import make_sampler
from training.engine.checkpoint import BEST_FILE, CHECKPOINT_FILE, load_checkpoint
from training.engine.run_facts import RunFacts
from training.engine.trainer import FitResult, Trainer

NEW_DATA = "new data"
"""Name of the recipe's structures among the streams; no head can be called so."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training of a sweep."""

    fold: str
    """Name of the division."""
    mode: str
    """Key of `MODES`."""
    size: int
    """Training structures, validation included."""
    seed: int
    """Of the choice of structures and of fresh weights."""

    @property
    def path(self) -> Path:
        """Its folder in that of the run."""
        return Path(self.fold.replace(" ", "-")) / self.mode / str(self.size) / f"seed-{self.seed}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A cell's model and how it came to be."""

    adapted: Adapted
    """With the best averaged weights, merged and frozen."""
    result: FitResult
    """Steps and time."""
    replayed: tuple[str, ...]
    """Pretrained heads that were trained along."""
    n_trained: int
    """Parameters that were."""
    validation_error: float
    """Of the weights that were kept: geometric mean of the errors of all new heads."""


def fit_cell(
    recipe: Recipe,
    cell: Cell,
    samples: Sequence[Sample],
    parts: Parts,
    folder: Path,
    pretraining: PretrainingData | None = None,
    processes: Processes = ALONE,
) -> Fitted | None:
    """Train one cell; goes on from its checkpoint if there is one.

    Args:
        recipe: what is learned and how.
        cell: which training.
        samples: all of the data.
        parts: which of them.
        folder: for checkpoints and metrics.
        pretraining: structures to replay; None: none.
        processes: that train it together; all of them call this.

    Returns:
        the fitted model; None: it was stopped by a signal and can be resumed.
    """
    torch.set_num_threads(recipe.threads)
    loaded = load_model(recipe.adapt.model, best_kernel(torch.device(recipe.device).type))
    chosen = [samples[place] for place in (*parts.train, *parts.validation)]
    n_train = len(parts.train)
    graphs = pack_samples(chosen, loaded.model.cutoff)
    training = graphs.select(np.arange(n_train))
    adapted = adapt(recipe, MODES[cell.mode], loaded, training, chosen[:n_train], cell.seed)
    own = _own_batches(recipe, adapted, graphs, chosen)
    batches = _Batches(own, n_train, processes)
    trainer = _trainer(recipe, cell, adapted, batches, folder, pretraining)
    n_trained = sum(p.numel() for p in adapted.model.parameters() if p.requires_grad)
    if (folder / CHECKPOINT_FILE).exists():
        trainer.resume()
    try:
        result = trainer.fit()
    finally:
        trainer.loader.close()
    if not result.finished:
        return None
    best = load_checkpoint(folder / BEST_FILE)
    trainer.strategy.gather(None)  # nobody removes the file before all have read it
    adapted.model.load_state_dict(best.model | best.average)
    merge_low_rank(adapted.model)
    adapted.model.eval().requires_grad_(False)
    replayed = _replayed(recipe, cell, pretraining)
    if pretraining is not None:
        for name, part in replayed.items():
            settle(adapted.model, name, pretraining.graphs(part))
    return Fitted(
        adapted=adapted,
        result=result,
        replayed=tuple(replayed),
        n_trained=n_trained,
        validation_error=best.state["best_error"],
    )


class _Batches(NamedTuple):
    """The recipe's own structures: those to train on first, then those for validation."""

    assembler: Assembler
    n_train: int
    processes: Processes


def _own_batches(
    recipe: Recipe, adapted: Adapted, graphs: PackedGraphs, samples: Sequence[Sample]
) -> Assembler:
    """Batches with the labels of the new heads; index 0 is the new energy head."""
    if recipe.potential is not None:
        source = MemorySource(graphs, ("data",))
        return PropertyAssembler(source, np.zeros(len(samples), dtype=np.int64), {})
    learned = {}
    for name, target in recipe.targets.items():
        labels = label_tensors(samples, name, per_atom=target.level == "atom")
        head = adapted.model.property_head(name)
        learned[name] = [head.learned(value) for value in labels]
    head_index = np.full(len(samples), NO_HEAD)
    return PropertyAssembler(MemorySource(graphs, ("data",)), head_index, learned)


def _trainer(
    recipe: Recipe,
    cell: Cell,
    adapted: Adapted,
    own: _Batches,
    folder: Path,
    pretraining: PretrainingData | None,
) -> Trainer:
    """The trainer of `training.engine`, with one stream of new data and, if wanted, one of old."""
    index = np.arange(len(own.assembler.source))
    train, validation = index[: own.n_train], index[own.n_train :]
    processes = own.processes
    heads = () if recipe.potential is None else (recipe.potential.head,)
    streams = {NEW_DATA: train}
    drawn: list[dict[str, float]] = [{NEW_DATA: 1.0}]
    assembler, replayed = own.assembler, _replayed(recipe, cell, pretraining)
    if replayed and pretraining is not None:
        assembler = _with_replay(own.assembler, pretraining, len(heads))
        streams |= {name: part + len(index) for name, part in replayed.items()}
        shares = weights({name: len(part) for name, part in replayed.items()}, "equal", 1.0, {})
        drawn.append(shares)
        heads = (*heads, *pretraining.heads)
        for name in replayed:
            adapted.model.head(name).requires_grad_(True)
    schedule = recipe.schedule
    n_structures = [schedule.structures_per_step]
    if recipe.adapt.replay is not None:
        n_structures.append(recipe.adapt.replay.structures_per_step)
    sizes = (assembler.source.n_atoms, assembler.source.n_edges)
    sampler = RoundRobin(
        [
            one
            for plan, n in zip(processes.plans(drawn), n_structures, strict=False)
            for one in make_sampler(
                [plan], streams, sizes, processes.limits(schedule.limits, n), cell.seed
            ).streams
        ]
    )
    strategy = processes.strategy(adapted.model)
    strategy.prepare(adapted.model)
    part = validation[processes.rank :: processes.world_size]
    return Trainer(
        adapted.model,
        TrainingLoader(assembler, sampler),
        FixedLoader(assembler, part, schedule.limits),
        fit_config(recipe, cell, adapted, tuple(replayed)),
        folder,
        RunFacts(
            heads=heads,
            strategy=strategy,
            batches_per_rank=len(drawn),
            fingerprint=str(cell.path),
        ),
    )


def _replayed(recipe: Recipe, cell: Cell, pretraining: PretrainingData | None) -> dict[str, Index]:
    """Pretrained head -> structures to mix in; none where nothing can be forgotten."""
    mode, replay = MODES[cell.mode], recipe.adapt.replay
    if replay is None or pretraining is None or mode.start == "scratch" or mode.train == "head":
        return {}
    return pretraining.training_index(replay, cell.seed)


def _with_replay(own: Assembler, pretraining: PretrainingData, n_heads: int) -> Assembler:
    """The recipe's structures, then all of the pretraining, whose heads come after `n_heads`."""
    old = pretraining.data.assembler
    head = np.concatenate([own.head.numpy(), old.head.numpy() + n_heads])
    labels = own.labels if isinstance(own, PropertyAssembler) else {}
    return PropertyAssembler(JoinedSource([own.source, old.source]), head, labels)


def fit_config(recipe: Recipe, cell: Cell, adapted: Adapted, replayed: Sequence[str]) -> FitConfig:
    """What the trainer does with the batches of a cell."""
    schedule, adapt_config, mode = recipe.schedule, recipe.adapt, MODES[cell.mode]
    ema_decay = schedule.ema_decay
    if replayed and adapt_config.replay is not None:
        replay = adapt_config.replay
        rate = min(adapt_config.backbone_rate, replay.backbone_rate)
        adapt_config = replace(adapt_config, backbone_rate=rate)
        ema_decay = max(ema_decay, replay.ema_decay)
    factors = dict(rate_factors(adapted.model, mode, adapt_config))
    factors |= {f"heads.{name}.": adapt_config.backbone_rate for name in replayed}
    return FitConfig(
        duration=DurationConfig(max_steps=schedule.max_steps),
        loss=_loss(recipe, adapted, replayed),
        optimizer=OptimizerConfig(
            learning_rate=schedule.learning_rate,
            end_learning_rate=0.01 * schedule.learning_rate,
            warmup_fraction=0.05,
            weight_decay=schedule.weight_decay,
            clip_norm=schedule.clip_norm,
            rate_factors=factors,
        ),
        ema_decay=ema_decay,
        validate_every_steps=schedule.validate_every_steps,
        checkpoint_every_steps=schedule.max_steps,
        keep_checkpoints=1,
        log_every_steps=schedule.validate_every_steps,
        patience=schedule.patience,
    )


def _loss(recipe: Recipe, adapted: Adapted, replayed: Sequence[str]) -> LossConfig:
    replay = recipe.adapt.replay
    old = {} if replay is None else dict.fromkeys(replayed, replay.weight)
    potential = recipe.potential
    if potential is None:
        own = {
            name: PropertyLoss(
                function=target.loss, weight=target.weight, scale=adapted.scales[name]
            )
            for name, target in recipe.targets.items()
        }
        return LossConfig(head_weights=old, properties=own)
    return LossConfig(
        energy_weight=potential.energy_weight,
        forces_weight=potential.forces_weight,
        stress_weight=potential.stress_weight,
        head_weights=old,
    )
