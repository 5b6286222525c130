"""One table over several recipes: does the pretrained start beat training from scratch?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from downstream.modes import COMPARED
from downstream.report import Table, markdown_table, mean_and_deviation
from downstream.run import RESULT_FILE

TABLE_FILE = "comparison.md"


def write_comparison(outputs: Sequence[Path], folder: Path) -> str:
    """Write the table of several finished run folders, and return it.

    Args:
        outputs: run folders with a `result.json`.
        folder: for the table.
    """
    summaries = [
        json.loads((output / RESULT_FILE).read_text(encoding="utf-8")) for output in outputs
    ]
    text = markdown_table(comparison_table(summaries))
    wins = sum(beats_scratch(summary) for summary in summaries)
    text += (
        f"\n\nThe best pretrained start beats scratch at every size on {wins} of {len(summaries)} "
        "sets, by the means over seeds.\n"
    )
    (folder / TABLE_FILE).write_text(text, encoding="utf-8")
    return text


def comparison_table(summaries: Sequence[Mapping[str, Any]]) -> Table:
    """Rows are data sets and sizes, columns modes; means ± deviations of the primary metric."""
    header = ("data", "metric", "structures", *COMPARED)
    rows = []
    for summary in summaries:
        for size in dict.fromkeys(row["size"] for row in summary["table"]):
            found = {row["mode"]: row for row in summary["table"] if row["size"] == size}
            cells = [
                mean_and_deviation(found[mode]["metrics"][summary["primary"]])
                if mode in found
                else "–"
                for mode in COMPARED
            ]
            structures = max(row["structures"] for row in found.values())
            rows.append((summary["data"], summary["primary"], str(structures), *cells))
    return header, rows


def beats_scratch(summary: Mapping[str, Any]) -> bool:
    """Whether, at every size, a pretrained mode has a better mean than scratch."""
    primary, sign = summary["primary"], 1.0 if summary["lower_is_better"] else -1.0
    for size in {row["size"] for row in summary["table"]}:
        means = {
            row["mode"]: sign * row["metrics"][primary]["mean"]
            for row in summary["table"]
            if row["size"] == size
        }
        scratch = means.pop("scratch", None)
        if scratch is None or not means or min(means.values()) >= scratch:
            return False
    return True
