"""Counts for a report, gathered block after block: memory does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.sample import MAX_ATOMIC_NUMBER
from atomfm_calc.screening.evaluation import Columns, Ragged
from atomfm_calc.screening.manifest import Journals, StageFolder
from atomfm_calc.screening.sinks.parquet import ParquetSink
from atomfm_calc.screening.sinks.sink import Sink

BINS = 60
FROM_FIRST_BLOCKS = 20
"""The range of a histogram is that of the middle 99 % of the rows in so many blocks."""
SHOWN = (
    "energy_per_atom",
    "above_references_per_atom",
    "energy_above_hull",
    "head_spread",
    "uncertainty_per_atom",
    "max_force",
    "pressure",
    "n_atoms",
    "relax_steps",
)
"""Columns that get a histogram, if a stage has them."""


@dataclass(kw_only=True)
class Histogram:
    """Counts between evenly spaced edges; what lies beyond is counted apart."""

    low: float
    """Left edge of the first bin."""
    high: float
    """Right edge of the last."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    """[BINS]"""
    outside: int = 0
    """Values below, above, or not there."""

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values."""
        found, _ = np.histogram(values[np.isfinite(values)], BINS, (self.low, self.high))
        self.counts += found
        self.outside += len(values) - int(found.sum())


@dataclass(kw_only=True)
class StageTally:
    """Everything that a report shows of a stage, but its structures."""

    name: str
    """Of the stage."""
    n_rows: int = 0
    """Structures with results."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Quarantined candidates by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """One id and detail for each reason."""
    histograms: dict[str, Histogram] = field(default_factory=dict)
    """By column."""
    element_counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(MAX_ATOMIC_NUMBER + 1, np.int64)
    )
    """Structures that contain each element."""
    element_energy: NDArray[np.float64] = field(
        default_factory=lambda: np.zeros(MAX_ATOMIC_NUMBER + 1)
    )
    """Sum of their energies above references, eV/atom."""
    finished: list[tuple[float, int, int]] = field(default_factory=list)
    """Time (s since 1970), candidates, rank of each block."""


def tally(name: str, folder: StageFolder, sink: Sink) -> StageTally:
    """Count what is there of a stage, finished or not."""
    journals = Journals(folder)
    journals.refresh()
    result = StageTally(name=name)
    blocks = [block for block in sorted(journals.records) if journals.is_done(block)]
    first = [_numbers(sink.read(folder.rows(block))) for block in blocks[:FROM_FIRST_BLOCKS]]
    result.histograms = _ranges(first)
    for block in blocks:
        record = journals.records[block]
        result.n_rows += record.n_rows
        result.finished.append((record.finished, record.n_rows + record.n_quarantined, record.rank))
        wanted = [*result.histograms, "atomic_numbers"]
        if "above_references_per_atom" not in wanted:
            wanted.append("above_references_per_atom")
        _add(result, sink.read(folder.rows(block), wanted))
        if record.n_quarantined:
            _add_quarantined(result, folder.quarantine(block))
    result.finished.sort()
    return result


def _numbers(columns: Columns) -> dict[str, NDArray[np.float64]]:
    return {name: np.asarray(columns[name], dtype=float) for name in SHOWN if name in columns}


def _ranges(parts: list[dict[str, NDArray[np.float64]]]) -> dict[str, Histogram]:
    histograms = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        values = np.concatenate([part[name] for part in parts])
        values = values[np.isfinite(values)]
        if len(values):
            low, high = np.quantile(values, (0.005, 0.995)).tolist()
            margin = 0.02 * (high - low) or 0.5
            histograms[name] = Histogram(low=low - margin, high=high + margin)
    return histograms


def _add(result: StageTally, columns: Columns) -> None:
    for name, values in _numbers(columns).items():
        if name in result.histograms:
            result.histograms[name].add(values)
    numbers = columns["atomic_numbers"]
    if not isinstance(numbers, Ragged):
        return
    energy = np.nan_to_num(np.asarray(columns["above_references_per_atom"], dtype=float))
    owner = np.repeat(np.arange(len(numbers.counts)), numbers.counts)
    pairs = np.unique(np.stack([owner, numbers.values.astype(np.int64)]), axis=1)
    np.add.at(result.element_counts, pairs[1], 1)
    np.add.at(result.element_energy, pairs[1], energy[pairs[0]])


def _add_quarantined(result: StageTally, path: Path) -> None:
    columns = ParquetSink().read(path)
    reasons = [str(reason) for reason in columns["reason"]]
    result.reasons.update(reasons)
    rows = zip(reasons, columns["id"], columns["detail"], strict=True)
    for reason, name, detail in rows:
        result.examples.setdefault(reason, f"{name}: {detail}")
