"""Errors of a run on held-out structures, beside the references alone: JSON and a table."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from atomfm_calc.config import parse_config
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import SplitErrors
from training.assemble import assemble
from training.data.loader import FixedLoader
from training.engine.metrics import (
    HeadErrors,
    evaluate_model,
    move,
    references_only,
    table_of_errors,
)
from training.pretrain import load_run_config, validation_index
from training.start import read_start

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Errors of one model on one split."""

    split: str
    """validation or test."""
    n_structures: dict[str, int]
    """Structures per head."""
    model: dict[str, SplitErrors]
    """Errors of the averaged weights per head."""
    references_only: dict[str, SplitErrors]
    """Errors of the element references per head."""

    def table(self) -> str:
        """For people: both, below each other."""
        return (
            f"model, {self.split} split\n{table_of_errors(self.model)}\n\n"
            f"element references only\n{table_of_errors(self.references_only)}"
        )


def evaluate_run(run: Path, split: str, limit: int | None = None) -> Evaluation:
    """Evaluate the averaged weights of a run and save the result in its folder.

    Args:
        run: a run folder.
        split: "validation" or "test".
        limit: structures per head; None: all.
    """
    config = load_run_config(run)
    torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    model = load_average(run, config.kernel).to(device)
    # the files that the run has seen, however much a collection has grown since
    data = assemble(config.heads, replace(config.data, files_of_run=run), model.cutoff)
    index = validation_index(data, limit, split)
    result = evaluate(model, FixedLoader(data.assembler, index, config.batch), split)
    path = run / evaluation_file(split)
    path.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    logger.info("wrote %s", path)
    return result


def load_average(run: Path, kernel: str = "reference") -> FoundationModel:
    """The model of a run with its averaged weights, frozen."""
    architecture, heads, state = read_start(run)
    model = FoundationModel(architecture, heads, kernel)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def evaluate(model: FoundationModel, batches: FixedLoader, split: str) -> Evaluation:
    """Errors of a model and of its references over batches of a split."""
    device = next(model.parameters()).device
    errors = evaluate_model(model, (move(batch, device) for batch in batches))
    baseline = HeadErrors(model.head_names)
    for batch in batches:
        moved = move(batch, device)
        baseline.add(references_only(model, moved), moved)
    return Evaluation(
        split=split,
        n_structures=errors.n_structures(),
        model=errors.result(),
        references_only=baseline.result(),
    )


def evaluation_file(split: str) -> str:
    """Name of the result inside a run folder."""
    return f"evaluation-{split}.json"


def read_evaluation(path: Path) -> Evaluation:
    """A result that `evaluate_run` has saved; ConfigError names what is wrong in it."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name in ("model", "references_only"):
        content[name] = {
            head: parse_config(SplitErrors, row, origin=str(path))
            for head, row in content[name].items()
        }
    return Evaluation(**content)
