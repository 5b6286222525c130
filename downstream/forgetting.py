"""The forgetting matrix: validation errors of every pretrained head before and after."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.card import SplitErrors
from atomfm_calc.registry.catalog import LoadedModel
from downstream.recipe import Recipe
from downstream.replay import PretrainingData, pretraining_data
from training.engine.metrics import overall_error

STRUCTURES_PER_HEAD = 40
"""Validation structures of each pretrained head."""
BEFORE_FILE = "before.json"
"""Errors of the pretrained model, in the folder of the run."""
Matrix = dict[str, dict[str, Any]]
"""Head -> `before`, `after` (errors), `change` (of their geometric mean: 0.1 is 10 % worse)."""


class Forgetting:
    """Reads the data of the pretraining when it is first needed, and measures heads with it."""

    def __init__(self, recipe: Recipe, pretrained: LoadedModel, cache: Path, folder: Path) -> None:
        """Read nothing yet.

        Args:
            recipe: what is adapted.
            pretrained: as it was before.
            cache: folder of prepared graphs.
            folder: of the run.
        """
        self.recipe, self.pretrained = recipe, pretrained
        self.cache, self.folder = cache, folder

    @cached_property
    def data(self) -> PretrainingData:
        """Of the pretrained heads; DataError if there is none here."""
        model = self.pretrained.model
        return pretraining_data(model.head_names, model.cutoff, self.cache)

    def matrix(self, model: FoundationModel) -> Matrix:
        """Errors before and after, of each head whose data is here.

        Args:
            model: fitted, merged and frozen, with the pretrained heads still there.
        """
        before, after = self._before(), self.data.errors(model, STRUCTURES_PER_HEAD)
        return {
            head: {
                "before": asdict(before[head]),
                "after": asdict(after[head]),
                "change": overall_error({head: after[head]}) / overall_error({head: before[head]})
                - 1.0,
            }
            for head in before
            if head in after
        }

    def _before(self) -> dict[str, SplitErrors]:
        path = self.folder / BEFORE_FILE
        if not path.is_file():
            errors = self.data.errors(self.pretrained.model, STRUCTURES_PER_HEAD)
            content = {head: asdict(row) for head, row in errors.items()}
            path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        found = json.loads(path.read_text(encoding="utf-8"))
        return {head: SplitErrors(**row) for head, row in found.items()}
