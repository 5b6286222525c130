"""The training loop: pretraining and fine-tuning are this one, on one rank or thousands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from atomfm_calc.errors import NonFiniteLossError, lookup
from atomfm_calc.models.derivatives import Prediction
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import SplitErrors
from training.config import FitConfig, LossConfig
from training.engine.blame import suspects
from training.engine.checkpoint import mark_best, save_checkpoint
from training.engine.duration import Progress
from training.engine.ema import MovingAverage
from training.engine.interruption import StopRequest
from training.engine.logs import RunLog
from training.engine.losses import DERIVED, LabeledBatch, combine, loss_terms, wanted
from training.engine.metrics import (
    HeadErrors,
    MovedBatch,
    joined,
    move,
    overall_error,
    predict_batch,
    table_of_errors,
)
from training.engine.optim import RATE_FACTOR, learning_rate, make_optimizer
from training.engine.precision import PRECISIONS
from training.engine.run_facts import RunFacts
from training.engine.snapshot import give_back, take
from training.engine.stopwatch import Stopwatch
from training.engine.totals import Totals, add_up


class Loader(Protocol):
    """Endless batches with a position that can be saved."""

    def next_batch(self) -> LabeledBatch:
        """The next batch."""

    @property
    def samples_seen(self) -> Mapping[str, int]:
        """Structures handed out per head since the beginning."""

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON can hold it."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved position; it may hold those of other ranks as well."""

    def close(self) -> None:
        """End what makes batches ahead."""


class Batches(Protocol):
    """Batches that can be gone through again and again."""

    def __len__(self) -> int:
        """How many."""

    def __iter__(self) -> Iterator[LabeledBatch]:
        """All of them."""


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a run, or a part of it, came to."""

    steps: int
    """Optimizer steps."""
    samples_seen: dict[str, int]
    """Structures drawn per head."""
    seconds: float
    """Wall clock."""
    validation: dict[str, SplitErrors]
    """Errors of the averaged weights per head; empty if it is not finished."""
    properties: dict[str, float]
    """Mean error of the learned value per property head, likewise."""
    finished: bool
    """False: it was stopped and can be resumed."""


class Trainer:
    """Fits a model to batches until the duration is over."""

    def __init__(
        self,
        model: FoundationModel,
        loader: Loader,
        validation: Batches,
        config: FitConfig,
        folder: Path,
        run: RunFacts | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            model: trained in place; on its device, in the precision of the configuration, sharded
                if it is to be. What requires no gradient stays as it is.
            loader: training batches of this rank, on the CPU.
            validation: those of this rank.
            config: the run.
            folder: for checkpoint and metrics; made if absent.
            run: how ranks share it, and what its data are; None: one process.
        """
        self.model, self.loader, self.validation = model, loader, validation
        self.config, self.folder = config, folder
        self.run = RunFacts(heads=model.head_names) if run is None else run
        self.strategy = self.run.strategy
        self.device = next(model.parameters()).device
        self.dtype = PRECISIONS[config.precision].weights
        self.optimizer = make_optimizer(model, config.optimizer)
        self.average = MovingAverage(model, config.ema_decay)
        self.progress = Progress(config.duration)
        self.best_error = float("inf")
        self.n_worse = 0  # validations since the best one
        self.labels = (*DERIVED, *config.loss.properties)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.head_weights = _head_weights(model, self.run.heads, config.loss).to(self.device)
        places = {name: place for place, name in enumerate(model.head_names)}
        self._place_of_head = torch.tensor([places.get(name, -1) for name in self.run.heads])
        self._example: MovedBatch | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> None:
        """Go on from the checkpoint in the folder; TrainingError if it belongs to another run."""
        state = give_back(self.folder, self.model, self.optimizer, self.average, self.run)
        self.loader.load_state_dict(state["loader"])
        self.progress.resume(state["step"], state["samples"], state["seconds"])
        self.best_error, self.n_worse = state["best_error"], state.get("n_worse", 0)

    def save(self) -> None:
        """Write the checkpoint; called by all ranks."""
        state = {
            "step": self.progress.step,
            "samples": self.progress.samples,
            "seconds": self.progress.seconds,
            "samples_seen": self._samples_seen(),
            "best_error": self.best_error,
            "n_worse": self.n_worse,
        }
        checkpoint = take(
            self.model, self.optimizer, self.average, state, self.loader.state_dict(), self.run
        )
        if self.strategy.rank == 0:
            save_checkpoint(checkpoint, self.folder, self.config.keep_checkpoints)

    def fit(
        self, stop_after_steps: int | None = None, request: StopRequest | None = None
    ) -> FitResult:
        """Train until the duration is over; saves a checkpoint at the end and when interrupted.

        SIGTERM and Ctrl-C end it after the step that is under way.

        Args:
            stop_after_steps: leave earlier, as an interruption would; for tests.
            request: listens to signals already; None: from now on.

        Raises:
            TrainingError: loss or gradient is not finite; nothing of that step is kept.
        """
        self.model.train()
        config, stop, stopped = self.config, None, False
        if stop_after_steps is not None:
            stop = self.progress.step + stop_after_steps
        log = RunLog(
            self.folder,
            step=self.progress.step,
            writes=self.strategy.rank == 0,
            tensorboard=config.tensorboard,
        )
        with log, StopRequest() if request is None else nullcontext(request) as asked:
            while not self.is_over and self.progress.step != stop and not stopped:
                stopped = self.step(log, asked_to_stop=asked.received is not None)
                if self.progress.step % config.checkpoint_every_steps == 0:
                    self.save()
                if self.progress.step % config.validate_every_steps == 0:
                    self._validate(log)
            finished = self.is_over
            self.save()
            errors = self._validate(log) if finished else HeadErrors(())
        return FitResult(
            steps=self.progress.step,
            samples_seen=self._samples_seen(),
            seconds=self.progress.seconds,
            validation=self._of_run(errors),
            properties=errors.properties(),
            finished=finished,
        )

    @property
    def is_over(self) -> bool:
        """Whether the duration is over, or patience with validations that are not better."""
        patience = self.config.patience
        out_of_patience = patience is not None and self.n_worse >= patience
        return out_of_patience or self.progress.fraction() >= 1.0

    def step(self, log: RunLog, *, asked_to_stop: bool = False) -> bool:
        """One optimizer step on this rank's next batches; whether any rank was asked to stop."""
        config, strategy, progress = self.config, self.strategy, self.progress
        logged = (progress.step + 1) % config.log_every_steps == 0
        watch = Stopwatch(self.device, exact=logged)
        batches = [self._move(self.loader.next_batch()) for _ in range(self.run.batches_per_rank)]
        self._example = batches[0]
        watch.mark("data")
        totals = add_up(batches, progress.seconds, asked_to_stop, strategy, self.labels)
        progress.agree(totals.seconds)
        rate = learning_rate(config.optimizer, progress.fraction())
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group[RATE_FACTOR]
        self.optimizer.zero_grad(set_to_none=True)
        losses = torch.zeros(1 + len(self.labels), dtype=torch.float64, device=self.device)
        predictions = []
        watch.mark("communication")
        for number, batch in enumerate(batches):
            with strategy.accumulating(last=number == len(batches) - 1):
                predictions.append(self._add_gradient(batch, totals, losses, watch))
        strategy.finish_gradients()
        norm = self._clip(batches, predictions)
        watch.mark("communication")
        self.optimizer.step()
        progress.step += 1
        progress.samples += totals.structures
        self.average.update(self.model, progress.step)
        watch.mark("optimizer")
        if logged:
            names = ("loss", *(f"{name}_loss" for name in self.labels))
            values = dict(zip(names, strategy.sum(losses).tolist(), strict=True))
            self._log(log, totals, watch, {**values, "gradient_norm": norm, "learning_rate": rate})
        return totals.stop

    def _move(self, batch: LabeledBatch) -> MovedBatch:
        return move(batch, self.device, self.dtype, self._place_of_head)

    def _add_gradient(
        self, batch: MovedBatch, totals: Totals, losses: Tensor, watch: Stopwatch
    ) -> Prediction:
        """Add the gradient of this batch's part of the loss; its value and terms go to `losses`."""
        config, want = self.config.loss, totals.wanted(batch, self.strategy.world_size)
        with self.strategy.force_gradient():
            prediction = predict_batch(self.model, batch, want, differentiable=True)
        terms = loss_terms(prediction, batch, config, self.head_weights)
        loss = combine(terms, config, totals.n_labels)
        watch.mark("forward")
        loss.backward()
        losses[0] += loss.detach()
        for place, name in enumerate(self.labels, start=1):
            if name in terms:
                losses[place] += terms[name].total.detach() / max(totals.n_labels[name], 1)
        watch.mark("backward")
        return prediction

    def _clip(self, batches: Sequence[MovedBatch], predictions: Sequence[Prediction]) -> float:
        """Clip the gradient; its norm before. Not finite on any rank: all stop, before the step."""
        norm = self.strategy.norm(self.parameters)
        if not math.isfinite(norm):
            own = suspects(batches, predictions, self.model.head_names)
            texts = enumerate(self.strategy.gather(own))
            found = [f"rank {rank}: {text}" for rank, text in texts if text]
            raise NonFiniteLossError(
                f"loss or gradient is not finite at step {self.progress.step}: "
                f"{'; '.join(found) or 'no single structure is to blame'}. The step was not made; "
                "lower fit.optimizer.learning_rate or look at these structures, then resume."
            )
        if norm > self.config.optimizer.clip_norm:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.mul_(self.config.optimizer.clip_norm / (norm + 1e-6))
        return norm

    def _validate(self, log: RunLog) -> HeadErrors:
        """Errors of the averaged weights on all ranks' validation batches; the best is kept."""
        own = HeadErrors(self.model.head_names)
        self.model.eval()
        with self.average.applied(self.model):
            for batch, counts in self._validation_batches():
                prediction = predict_batch(
                    self.model, batch, self._evaluated(batch), differentiable=False
                )
                if counts:
                    own.add(prediction, batch)
        self.model.train()
        everything = joined(self.strategy.gather(own))
        results, properties = self._of_run(everything), everything.properties()
        error = overall_error(results, properties)
        values = {
            "step": self.progress.step,
            "seconds": round(self.progress.seconds, 1),
            "samples_seen": self._samples_seen(),
            "overall_error": error,
            "errors": {name: asdict(row) for name, row in results.items()},
            **({"properties": properties} if properties else {}),
        }
        log.record("validation", values)
        lines = [f"{name}  {value:.4g}" for name, value in properties.items()]
        if results or not lines:
            lines.insert(0, table_of_errors(results))
        log.message("\n".join((f"step {self.progress.step}", *lines)))
        self.n_worse += 1
        if (results or properties) and error < self.best_error:
            self.best_error, self.n_worse = error, 0
            self.save()
            if self.strategy.rank == 0:
                mark_best(self.folder)
        return everything

    def _of_run(self, errors: HeadErrors) -> dict[str, SplitErrors]:
        """Errors per head, in the order of the run's heads."""
        results = errors.result()
        return {name: results[name] for name in self.run.heads if name in results}

    def _validation_batches(self) -> Iterator[tuple[MovedBatch, bool]]:
        """As many batches on every rank, and whether they count: ranks with fewer repeat one."""
        number, most = 0, max(self.strategy.gather(len(self.validation)))
        for batch in self.validation:
            self._example = self._move(batch)
            number += 1
            yield self._example, True
        while number < most and self._example is not None:
            number += 1
            yield self._example, False

    def _evaluated(self, batch: MovedBatch) -> tuple[str, ...]:
        own = wanted(batch)
        derives = self.strategy.world_size > 1 and "energy" in own and "forces" not in own
        return (*own, "forces") if derives else own

    def _samples_seen(self) -> dict[str, int]:
        total = dict.fromkeys(self.run.heads, 0)
        for part in self.strategy.gather(dict(self.loader.samples_seen)):
            for name, count in part.items():
                total[name] = total.get(name, 0) + count
        return total

    def _log(
        self, log: RunLog, totals: Totals, watch: Stopwatch, values: Mapping[str, float]
    ) -> None:
        rounded = {name: float(f"{value:.12g}") for name, value in values.items()}
        record = {
            "step": self.progress.step,
            "seconds": round(self.progress.seconds, 2),
            **rounded,
            "structures": totals.structures,
            "atoms": totals.atoms,
            "edges": totals.edges,
            "step_seconds": round(watch.total, 5),
            **{f"seconds_{part}": round(value, 5) for part, value in watch.seconds.items()},
        }
        log.record("step", record)
        shown = {
            "step": self.progress.step,
            "loss": values["loss"],
            "structures/s": totals.structures / watch.total,
            "atoms/s": totals.atoms / watch.total,
        }
        log.progress(self.progress.fraction(), shown)


def _head_weights(model: FoundationModel, heads: Sequence[str], config: LossConfig) -> Tensor:
    """Weight of each head of the model."""
    for name in config.head_weights:
        lookup(dict.fromkeys(heads), name, "head", "this run")
    return torch.tensor([config.head_weights.get(name, 1.0) for name in model.head_names])
