"""Results of all cells of a run, put together: means and deviations over seeds and folds."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from atomfm_calc.config import config_to_dict, load_config
from atomfm_calc.errors import DataError
from atomfm_calc.files import write_at_once
from downstream.modes import MODES
from downstream.recipe import Recipe
from downstream.run import RESULT_FILE, STATE_FILE

PACKAGES = ("atomfm", "torch", "numpy", "ase")
Result = dict[str, Any]


def summarize(output: Path) -> Result:
    """Collect the finished cells of a run folder; write and return the whole as `result.json`.

    Raises:
        DataError: there are none.
    """
    paths = sorted((output / "cells").rglob(RESULT_FILE))
    if not paths:
        raise DataError(f"{output} holds no finished cell; `python -m downstream run` first")
    cells = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    recipe = load_config(Recipe, output / "recipe.yaml")
    state = json.loads((output / STATE_FILE).read_text(encoding="utf-8"))
    order = list(MODES)
    cells.sort(key=lambda c: (c["cell"]["size"], order.index(c["cell"]["mode"]), _rest(c)))
    summary: Result = {
        "recipe": recipe.name,
        "title": recipe.title,
        "data": cells[0]["data"],
        "source": config_to_dict(recipe.source),
        "pretrained": state["pretrained"],
        "pretrained_sha256": state["pretrained_sha256"],
        "primary": cells[0]["primary"],
        "lower_is_better": cells[0]["lower_is_better"],
        "table": rows(cells),
        "forgetting": _forgetting(cells),
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version(), "machine": platform.machine()},
        "seconds": round(sum(cell["seconds"] for cell in cells), 1),
        "cells": cells,
    }
    write_at_once(f"{json.dumps(summary)}\n".encode(), output / RESULT_FILE)
    return summary


def rows(cells: Sequence[Result]) -> list[Result]:
    """One row per size and mode: `structures`, `metrics` (name -> mean, deviation), `n`, `seconds`.

    A size may be larger than what there is; `structures` are those there were, of the largest fold.

    The deviation is that of a sample; with one cell it is None.
    """
    groups: dict[tuple[int, str], list[Result]] = {}
    for cell in cells:
        groups.setdefault((cell["cell"]["size"], cell["cell"]["mode"]), []).append(cell)
    return [
        {
            "size": size,
            "structures": max(structures_of(member) for member in members),
            "mode": mode,
            "n": len(members),
            "seeds": sorted({member["cell"]["seed"] for member in members}),
            "folds": sorted({member["cell"]["fold"] for member in members}),
            "seconds": float(np.mean([member["seconds"] for member in members])),
            "trained_parameters": members[0]["trained_parameters"],
            "metrics": _statistics(members),
        }
        for (size, mode), members in groups.items()
    ]


def structures_of(cell: Result) -> int:
    """Structures that a cell was trained on, validation included."""
    counts = cell["n_structures"]
    return int(counts["train"] + counts["validation"])


def best_cell(summary: Result) -> Result:
    """The cell whose plots are shown: of the largest size, the best by the primary metric."""
    largest = max(cell["cell"]["size"] for cell in summary["cells"])
    sign = 1.0 if summary["lower_is_better"] else -1.0
    candidates = [cell for cell in summary["cells"] if cell["cell"]["size"] == largest]
    found: Result = min(candidates, key=lambda cell: sign * cell["metrics"][cell["primary"]])
    return found


def _statistics(members: Sequence[Result]) -> dict[str, dict[str, float | None]]:
    names = [name for name in members[0]["metrics"] if all(name in m["metrics"] for m in members)]
    result: dict[str, dict[str, float | None]] = {}
    for name in names:
        values = np.array([member["metrics"][name] for member in members])
        spread = float(values.std(ddof=1)) if len(values) > 1 else None
        result[name] = {"mean": float(values.mean()), "deviation": spread}
    return result


def _forgetting(cells: Sequence[Result]) -> dict[str, Mapping[str, Any]]:
    """Mode -> head -> errors before and after."""
    return {cell["cell"]["mode"]: cell["forgetting"] for cell in cells if cell["forgetting"]}


def _rest(cell: Result) -> tuple[str, int]:
    return cell["cell"]["fold"], cell["cell"]["seed"]
