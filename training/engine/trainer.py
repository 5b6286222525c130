"""The training loop: pretraining and fine-tuning are this one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from atomfm_calc.config import config_to_dict
from atomfm_calc.errors import TrainingError, listing, lookup
from atomfm_calc.models.derivatives import Prediction
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import SplitErrors
from training.config import FitConfig, LossConfig
from training.engine.checkpoint import (
    CHECKPOINT_FILE,
    Checkpoint,
    load_checkpoint,
    load_optimizer,
    optimizer_tensors,
    save_checkpoint,
)
from training.engine.duration import Progress
from training.engine.ema import MovingAverage
from training.engine.logs import RunLog
from training.engine.losses import LabeledBatch, LossTerm, combine, loss_terms
from training.engine.metrics import evaluate_model, move, predict_batch, table_of_errors
from training.engine.optim import learning_rate, make_optimizer

MAX_SOURCES_NAMED = 5


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
        """Go on from a saved position."""


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a run came to."""

    steps: int
    """Optimizer steps."""
    samples_seen: dict[str, int]
    """Structures drawn per head."""
    seconds: float
    """Wall clock."""
    validation: dict[str, SplitErrors]
    """Errors of the averaged weights per head."""


class Trainer:
    """Fits a model to batches until the duration is over."""

    def __init__(
        self,
        model: FoundationModel,
        loader: Loader,
        validation: Iterable[LabeledBatch],
        config: FitConfig,
        folder: Path,
        fingerprint: str = "",
    ) -> None:
        """Prepare a run.

        Args:
            model: trained in place, on its device; what requires no gradient stays as it is.
            loader: training batches, on the CPU.
            validation: batches that can be iterated again and again.
            config: the run.
            folder: for checkpoint and metrics; made if absent.
            fingerprint: of the data; a checkpoint with another one is refused.
        """
        self.model, self.loader, self.validation = model, loader, validation
        self.config, self.folder, self.fingerprint = config, folder, fingerprint
        self.device = next(model.parameters()).device
        self.optimizer = make_optimizer(model, config.optimizer)
        self.average = MovingAverage(model, config.ema_decay)
        self.progress = Progress(config.duration)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.head_weights = _head_weights(model, config.loss).to(self.device)
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> None:
        """Go on from the checkpoint in the folder; TrainingError if it belongs to another run."""
        checkpoint = load_checkpoint(self.folder)
        state = checkpoint.state
        if tuple(state["heads"]) != self.model.head_names or state["data"] != self.fingerprint:
            raise TrainingError(
                f"{self.folder / CHECKPOINT_FILE} was made with other heads or other data "
                f"(heads {listing(state['heads'])}); use start_from for its weights alone"
            )
        self.model.load_state_dict(checkpoint.model)
        self.average.load_state_dict(checkpoint.average)
        load_optimizer(self.optimizer, checkpoint.optimizer)
        self.loader.load_state_dict(state["loader"])
        self.progress.resume(state["step"], state["samples"], state["seconds"])

    def fit(self, stop_after_steps: int | None = None) -> FitResult:
        """Train until the duration is over; saves a checkpoint at the end and when interrupted.

        Args:
            stop_after_steps: leave earlier, as an interruption would; for tests.

        Raises:
            TrainingError: loss or gradient is not finite; nothing of that step is kept.
        """
        self.model.train()
        stop = None if stop_after_steps is None else self.progress.step + stop_after_steps
        with RunLog(self.folder) as log:
            try:
                while self.progress.fraction() < 1.0 and self.progress.step != stop:
                    self._log(log, self.step())
                    if self.progress.step % self.config.checkpoint_every_steps == 0:
                        self.save()
                    if self.progress.step % self.config.validate_every_steps == 0:
                        self._validate(log)
            except KeyboardInterrupt:
                self.save()
                raise
            self.save()
            results = {} if self.progress.step == stop else self._validate(log)
        return FitResult(
            steps=self.progress.step,
            samples_seen=dict(self.loader.samples_seen),
            seconds=self.progress.seconds,
            validation=results,
        )

    def step(self) -> dict[str, float]:
        """One optimizer step on the next batch; returns what is worth logging."""
        started, config = time.perf_counter(), self.config
        batch = self.loader.next_batch()
        loading = time.perf_counter() - started
        batch = move(batch, self.device)
        rate = learning_rate(config.optimizer, self.progress.fraction())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        prediction = predict_batch(self.model, batch, differentiable=True)
        terms = loss_terms(prediction, batch, config.loss, self.head_weights)
        n_labels = {name: term.n_labels for name, term in terms.items()}
        loss = combine(terms, config.loss, n_labels)
        if not bool(torch.isfinite(loss)):
            raise TrainingError(self._blame("loss", batch, prediction))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.optimizer.clip_norm)
        if not bool(torch.isfinite(norm)):
            raise TrainingError(self._blame("gradient", batch, prediction))
        self.optimizer.step()
        self.progress.step += 1
        self.progress.samples += len(batch.sources)
        self.average.update(self.model, self.progress.step)
        return {
            "loss": loss.item(),
            **_means(terms),
            "gradient_norm": float(norm),
            "learning_rate": rate,
            "structures": len(batch.sources),
            "edges": batch.graph.edge_index.shape[1],
            "step_seconds": time.perf_counter() - started,
            "loading_seconds": loading,
        }

    def save(self) -> None:
        """Write the checkpoint."""
        progress = self.progress
        state = {
            "step": progress.step,
            "samples": progress.samples,
            "seconds": progress.seconds,
            "samples_seen": dict(self.loader.samples_seen),
            "loader": self.loader.state_dict(),
            "heads": list(self.model.head_names),
            "data": self.fingerprint,
            "architecture": config_to_dict(self.model.architecture),
        }
        checkpoint = Checkpoint(
            model=self.model.state_dict(),
            average=self.average.state_dict(),
            optimizer=optimizer_tensors(self.optimizer),
            state=state,
        )
        save_checkpoint(checkpoint, self.folder / CHECKPOINT_FILE)

    def _validate(self, log: RunLog) -> dict[str, SplitErrors]:
        self.model.eval()
        with self.average.applied(self.model):
            batches = (move(batch, self.device) for batch in self.validation)
            results, _ = evaluate_model(self.model, batches)
        self.model.train()
        log.record(
            "validation",
            {
                "step": self.progress.step,
                "seconds": round(self.progress.seconds, 1),
                "samples_seen": dict(self.loader.samples_seen),
                "errors": {name: asdict(row) for name, row in results.items()},
            },
        )
        log.message(f"step {self.progress.step}\n{table_of_errors(results)}")
        return results

    def _log(self, log: RunLog, values: dict[str, float]) -> None:
        if self.progress.step % self.config.log_every_steps:
            return
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        seconds = round(self.progress.seconds, 2)
        log.record("step", {"step": self.progress.step, "seconds": seconds, **rounded})
        shown = {name: values[name] for name in ("loss", "learning_rate", "step_seconds")}
        log.progress(self.progress.fraction(), {"step": self.progress.step, **shown})

    def _blame(self, what: str, batch: LabeledBatch, prediction: Prediction) -> str:
        bad = ~torch.isfinite(prediction.energy)
        if prediction.forces is not None:
            broken = ~torch.isfinite(prediction.forces).all(dim=1)
            bad = bad.index_put((batch.graph.batch[broken],), torch.tensor(True, device=bad.device))
        suspects = bad.nonzero()[:, 0].tolist() or list(range(len(batch.sources)))
        heads = sorted({self.model.head_names[int(batch.head[i])] for i in suspects})
        sources = listing(batch.sources[i] for i in suspects[:MAX_SOURCES_NAMED])
        return (
            f"the {what} is not finite at step {self.progress.step}; heads {listing(heads)}; "
            f"{len(suspects)} structures, such as {sources}. The step was not made; lower "
            "fit.optimizer.learning_rate or look at these structures, then resume."
        )


def _head_weights(model: FoundationModel, config: LossConfig) -> Tensor:
    for name in config.head_weights:
        lookup(dict.fromkeys(model.head_names), name, "head", "this run")
    return torch.tensor([config.head_weights.get(name, 1.0) for name in model.head_names])


def _means(terms: dict[str, LossTerm]) -> dict[str, float]:
    return {
        f"{name}_loss": float(term.total.detach()) / max(term.n_labels, 1)
        for name, term in terms.items()
    }
