"""A sweep over folds, modes, sizes and seeds; a finished training is never computed again."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from atomfm_calc.config import config_to_dict, dump_config
from atomfm_calc.errors import ConfigError
from atomfm_calc.files import write_at_once
from atomfm_calc.registry.card import CARD_FILE
from atomfm_calc.registry.catalog import LoadedModel, load_model
from downstream.catalog import FoundRecipe
from downstream.dataset import RecipeData, read_data
from downstream.export import Origin, export_model
from downstream.fit import Cell, Fitted, fit_cell
from downstream.forgetting import Forgetting
from downstream.labels import check_elements, symbols_of
from downstream.modes import MODES, mode_name
from downstream.processes import Processes, joined
from downstream.recipe import Recipe, Schedule
from downstream.scores import Scores, score
from downstream.splits import choose

logger = logging.getLogger(__name__)

RESULT_FILE = "result.json"
"""Of a cell, and of the whole run."""
STATE_FILE = "run.json"
"""What the cells of a run folder have in common."""
FREE_KEYS = ("sizes", "seeds", "expected", "threads", "device")
"""Of a recipe: may change between calls without making cells useless."""
QUICK = Schedule(max_steps=60, patience=3, validate_every_steps=20, structures_per_step=8)
"""For a look at whether it works."""
QUICK_SIZE, QUICK_TEST = 30, 60


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a call asks for, beside the recipe."""

    output: Path
    """Run folder."""
    data: Path | None = None
    """Folder of the public files, or a user's file; None: where `prepare` puts them."""
    modes: tuple[str, ...] = ()
    """Keys of `MODES`; empty: that of the recipe."""
    all_folds: bool = False
    """Every fold, not only the first."""
    forgetting: bool = True
    """Measure the pretrained heads before and after, once per mode, for potentials."""
    cache: Path = Path("work/prepared")
    """Prepared graphs of the pretraining."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a call came to."""

    finished: bool
    """False: it was stopped and can be called again."""
    cells: list[dict[str, Any]]
    """`result.json` of every cell."""
    output: Path
    """Run folder."""
    is_first: bool = True
    """Whether this process reports; one of several that a launcher started does."""


def quick(recipe: Recipe, given: Collection[str] = ()) -> Recipe:
    """The same recipe, as short as it can be.

    Args:
        recipe: with all overrides.
        given: "sizes", "seeds": asked for, and kept.
    """
    return replace(
        recipe,
        sizes=recipe.sizes if "sizes" in given else (QUICK_SIZE,),
        seeds=recipe.seeds if "seeds" in given else 1,
        schedule=replace(QUICK, limits=recipe.schedule.limits),
        split=replace(recipe.split, max_test=QUICK_TEST),
    )


def run(found: FoundRecipe, settings: RunSettings) -> RunSummary:
    """Train and test every cell that has no result yet; write result and model.

    Every process that a launcher has started calls this, and they train together.

    Args:
        found: the recipe with all overrides.
        settings: which cells, and where.

    Raises:
        ConfigError: the folder holds cells of other settings.
        DataError, UnsupportedElementError: the data cannot be learned from.
    """
    with joined(found.recipe.device) as processes:
        recipe = replace(found.recipe, device=processes.device)
        return _run(replace(found, recipe=recipe), settings, processes)


def _run(found: FoundRecipe, settings: RunSettings, processes: Processes) -> RunSummary:
    recipe, output = found.recipe, settings.output
    own = mode_name(recipe.adapt)
    modes = settings.modes or (own,)
    kept = own if own in modes else modes[-1]  # whose models are written
    data = read_data(found, settings.data)
    pretrained = load_model(recipe.adapt.model)
    if any(MODES[mode].start == "pretrained" for mode in modes):
        known = {symbol for info in pretrained.card.heads.values() for symbol in info.elements}
        check_elements(data.samples, known, pretrained.card.label)
    if processes.is_first:
        _claim(output, recipe, data, pretrained)
        dump_config(recipe, output / "recipe.yaml")
    forgetting = Forgetting(recipe, pretrained, settings.cache, output)
    measured = settings.forgetting and recipe.potential is not None
    folds = data.folds if settings.all_folds else data.folds[:1]
    cells = [
        Cell(fold=fold.name, mode=mode, size=size, seed=seed)
        for fold, size, mode, seed in product(folds, recipe.sizes, modes, range(recipe.seeds))
    ]
    results: list[dict[str, Any]] = []
    for number, cell in enumerate(cells, 1):
        fold = next(fold for fold in folds if fold.name == cell.fold)
        parts = choose(data.samples, fold, recipe.split, cell.size, cell.seed)
        last = cell.fold == folds[0].name and cell.size == recipe.sizes[-1]
        job = _Job(
            recipe=recipe,
            origin=Origin(recipe=recipe, cell=cell, data=data, parts=parts),
            folder=output / "cells" / cell.path,
            model=output / f"seed-{cell.seed}" / "model" if last and cell.mode == kept else None,
            forgetting=forgetting if measured and last and cell.seed == 0 else None,
            replay=forgetting,
            processes=processes,
        )
        result = job.result()
        if result is None:
            return RunSummary(
                finished=False, cells=results, output=output, is_first=processes.is_first
            )
        if not processes.is_first:
            continue
        results.append(result)
        logger.info(
            "%d of %d: %s, %s, %d structures, seed %d: %s %.4g (%.0f s)",
            *(number, len(cells), cell.fold, cell.mode, cell.size, cell.seed),
            *(result["primary"], result["metrics"][result["primary"]], result["seconds"]),
        )
    return RunSummary(finished=True, cells=results, output=output, is_first=processes.is_first)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Job:
    """One cell, from its data to its result file."""

    recipe: Recipe
    origin: Origin
    folder: Path
    model: Path | None
    """Where the model folder goes; None: it is not kept."""
    forgetting: Forgetting | None
    """Measures pretrained heads afterwards; None: not for this cell."""
    replay: Forgetting
    """Has the pretraining data, read when it is needed."""
    processes: Processes
    """That train it."""

    def result(self) -> dict[str, Any] | None:
        """The result, from its file if there is one; None: it was stopped.

        Empty on all processes but the first.
        """
        path = self.folder / RESULT_FILE
        if path.is_file() and (self.model is None or (self.model / CARD_FILE).is_file()):
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        self.folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        origin, work = self.origin, self.folder / "fit"
        pretraining = None if self.recipe.adapt.replay is None else self.replay.data
        samples = origin.data.samples
        fitted = fit_cell(
            *(self.recipe, origin.cell, samples, origin.parts, work, pretraining, self.processes)
        )
        if fitted is None:
            return None
        if not self.processes.is_first:
            return {}
        scores = self._score(fitted)
        content = {
            "cell": asdict(origin.cell),
            "data": origin.data.name,
            **self._facts(fitted),
            **scores,
            "forgetting": self._forgotten(fitted),
            "seconds": round(time.perf_counter() - started, 2),
        }
        if self.model is not None:
            content["weights_sha256"] = export_model(
                fitted, origin, scores, self.model
            ).weights_sha256
        write_at_once(f"{json.dumps(content)}\n".encode(), path)
        shutil.rmtree(work)
        return content

    def _score(self, fitted: Fitted) -> Scores:
        samples, parts = self.origin.data.samples, self.origin.parts
        means = {}
        for name in self.recipe.targets:
            labels = [samples[i].targets[name] for i in parts.train if name in samples[i].targets]
            means[name] = float(np.concatenate([np.ravel(label) for label in labels]).mean())
        test = [samples[place] for place in parts.test]
        return score(fitted.adapted.model, self.recipe, test, means)

    def _facts(self, fitted: Fitted) -> dict[str, Any]:
        samples, parts = self.origin.data.samples, self.origin.parts
        present, everything = (
            {symbol for i in index for symbol in symbols_of(samples[i])}
            for index in (parts.train, range(len(samples)))
        )
        return {
            "n_structures": {
                "train": len(parts.train),
                "validation": len(parts.validation),
                "test": len(parts.test),
            },
            "absent_elements": sorted(everything - present),
            "reused_head": fitted.adapted.reused_head,
            "trained_parameters": fitted.n_trained,
            "steps": fitted.result.steps,
            "validation_error": fitted.validation_error,
        }

    def _forgotten(self, fitted: Fitted) -> Mapping[str, Any] | None:
        if self.forgetting is None or MODES[self.origin.cell.mode].start == "scratch":
            return None
        return self.forgetting.matrix(fitted.adapted.model)


def _claim(output: Path, recipe: Recipe, data: RecipeData, pretrained: LoadedModel) -> None:
    """Take a run folder, or refuse one whose cells came from other settings."""
    content = {key: v for key, v in config_to_dict(recipe).items() if key not in FREE_KEYS}
    for key in ("start", "train"):
        content["adapt"].pop(key)
    state = {
        "recipe": recipe.name,
        "settings": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16],
        "data": data.fingerprint,
        "pretrained": pretrained.card.label,
        "pretrained_sha256": pretrained.card.weights_sha256,
    }
    path = output / STATE_FILE
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key, value in state.items() if found.get(key) != value]
        if changed:
            raise ConfigError(
                f"{output} holds results with other {' and '.join(changed)}; choose another "
                "folder with --out, or remove it"
            )
    output.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
