"""What a stage keeps: limits, composition, novelty and the best of all ranks, in one table.

The rows of all blocks are looked at one block after the other, with only the columns that decide.
What is kept is read again with everything, and its structures with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from atomfm_calc.convert import sample_from_atoms
from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.sample import composition_key
from atomfm_calc.screening.campaign import Elements, Limits, Novelty, Stage, Top
from atomfm_calc.screening.evaluation import Column, Columns, Ragged
from atomfm_calc.screening.fingerprint import fingerprints
from atomfm_calc.screening.graphs import list_block
from atomfm_calc.screening.manifest import StageFolder
from atomfm_calc.screening.readers.files import FileSource
from atomfm_calc.screening.rows import describe, join, n_rows_of
from atomfm_calc.screening.sinks.parquet import ParquetSink
from atomfm_calc.screening.sinks.sink import Sink
from atomfm_calc.screening.structures import CandidateSource, empty_block

SELECTED_FILE = "selected.parquet"
STRUCTURE_COLUMNS = ("positions", "cell", "pbc")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    """Rows that are still in the race."""

    block: NDArray[np.int64]
    row: NDArray[np.int64]
    value: NDArray[np.float64]
    """By which they are ranked, the smallest is the best"""
    fingerprint: tuple[str, ...]

    def select(self, order: NDArray[np.int64]) -> _Kept:
        return _Kept(
            block=self.block[order],
            row=self.row[order],
            value=self.value[order],
            fingerprint=tuple(self.fingerprint[place] for place in order)
            if self.fingerprint
            else (),
        )


def select(
    stage: Stage,
    folder: StageFolder,
    sink: Sink,
    source: CandidateSource,
    block_size: int,
    cutoff: float,
) -> Path:
    """Write what a stage keeps, the best first; returns the table.

    Args:
        stage: its limits and so on.
        folder: its results, complete.
        sink: that wrote the rows.
        source: its candidates, for the structures where the rows do not hold them.
        block_size: of the rows.
        cutoff: Å, of the neighbor lists of fingerprints.

    Raises:
        ConfigError: a column that is not there or holds no numbers.
    """
    n_blocks = -(-source.n_candidates // block_size)
    kept = _race(stage, folder, sink, n_blocks, cutoff)
    parts = []
    for block in np.unique(kept.block).tolist():
        rows = np.sort(kept.row[kept.block == block])
        columns = _take(sink.read(folder.rows(block)), rows)
        if "positions" not in columns:
            start = block * block_size
            found = source.read(start, min(start + block_size, source.n_candidates))
            chosen = np.isin(found.index, np.asarray(columns["index"]))
            described = describe(found.select(chosen), with_structures=True)
            columns |= {name: described[name] for name in STRUCTURE_COLUMNS}
        parts.append(columns)
    path = folder.path / SELECTED_FILE
    if parts:
        table = join(parts)
        table["rank"] = np.lexsort((kept.row, kept.block))  # the parts are in order of blocks
        table = _take(table, np.argsort(table["rank"]))
    else:
        table = _nothing(sink, folder, n_blocks)
    ParquetSink().write(table, path)
    return path


def _nothing(sink: Sink, folder: StageFolder, n_blocks: int) -> Columns:
    """The columns of a selection, without a row."""
    none = np.zeros(0, np.int64)
    columns = _take(sink.read(folder.rows(0)), none) if n_blocks else {}
    return describe(empty_block(), with_structures=True) | columns | {"rank": none}


def _race(stage: Stage, folder: StageFolder, sink: Sink, n_blocks: int, cutoff: float) -> _Kept:
    known = known_fingerprints(stage.novelty, cutoff)
    parts: list[_Kept] = []
    n_valued = 0
    for block in range(n_blocks):
        part, valued = _pass(stage, sink, folder.rows(block), block)
        n_valued += valued
        if len(part.row):
            parts.append(part)
        if stage.top is not None and stage.top.count is not None and stage.novelty is None:
            parts = [_best(_joined(parts), stage.top.count)]  # no more can ever be kept
    kept = _best(_joined(parts), None)
    if stage.novelty is not None:
        kept = kept.select(_new(kept.fingerprint, known))
    if stage.top is not None:
        count = stage.top.count
        kept = _best(
            kept, round((stage.top.fraction or 0.0) * n_valued) if count is None else count
        )
    return kept


def _pass(stage: Stage, sink: Sink, path: Path, block: int) -> tuple[_Kept, int]:
    """The rows of a block that are within the limits, and how many have a value to rank by."""
    names = _deciding(stage)
    columns = sink.read(path, ["index", *names])
    mask = np.ones(n_rows_of(columns), dtype=bool)
    for limits in stage.limits:
        mask &= _within(columns, limits)
    if stage.elements is not None:
        mask &= _allowed(columns["atomic_numbers"], stage.elements)
    value = np.zeros(len(mask)) if stage.top is None else _ranked(columns, stage.top)
    valued = np.isfinite(value)
    rows = np.flatnonzero(mask & valued)
    labels: Sequence[str] = ()
    if stage.novelty is not None:
        every = columns[stage.novelty.by]
        labels = [str(every[row]) for row in rows.tolist()] if isinstance(every, Sequence) else []
    part = _Kept(
        block=np.full(len(rows), block), row=rows, value=value[rows], fingerprint=tuple(labels)
    )
    return part, int(valued.sum())


def _deciding(stage: Stage) -> list[str]:
    names = [limits.column for limits in stage.limits]
    names += ["atomic_numbers"] if stage.elements is not None else []
    names += [stage.top.by] if stage.top is not None else []
    names += [stage.novelty.by] if stage.novelty is not None else []
    return list(dict.fromkeys(name for name in names if name != "index"))


def check_columns(stage: Stage, columns: Columns) -> None:
    """Refuse a stage that decides by a column which it does not make; ConfigError names them."""
    numbers = {
        name: column
        for name, column in columns.items()
        if isinstance(column, np.ndarray) and column.ndim == 1
    }
    wanted = [limits.column for limits in stage.limits]
    wanted += [stage.top.by] if stage.top is not None else []
    for name in wanted:
        lookup(numbers, name, "column of numbers", f"stage {stage.name}")
    if stage.novelty is not None and stage.novelty.by not in columns:
        raise ConfigError(f"novelty by {stage.novelty.by} needs prototype: true in that stage")


def _within(columns: Columns, limits: Limits) -> NDArray[np.bool_]:
    values = np.asarray(columns[limits.column], dtype=np.float64)
    mask = np.isfinite(values)
    if limits.minimum is not None:
        mask &= values >= limits.minimum
    if limits.maximum is not None:
        mask &= values <= limits.maximum
    return mask


def _ranked(columns: Columns, top: Top) -> NDArray[np.float64]:
    values = np.asarray(columns[top.by], dtype=np.float64)
    return -values if top.largest else values


def _allowed(column: object, elements: Elements) -> NDArray[np.bool_]:
    if not isinstance(column, Ragged):
        raise ConfigError("the rows have no atomic numbers; a filter by elements needs them")
    owner = np.repeat(np.arange(len(column.counts)), column.counts)
    present = np.zeros((len(column.counts), len(atomic_numbers) + 1), dtype=bool)
    present[owner, column.values.astype(np.int64)] = True
    required, forbidden = _numbers(elements.required), _numbers(elements.forbidden)
    wrong = present[:, forbidden].any(axis=1)
    mask = np.logical_and(present[:, required].all(axis=1), np.logical_not(wrong))
    if elements.allowed:
        foreign = present.copy()
        foreign[:, _numbers(elements.allowed)] = False
        mask = np.logical_and(mask, np.logical_not(foreign.any(axis=1)))
    return np.asarray(mask)


def _numbers(symbols: Sequence[str]) -> list[int]:
    return [lookup(atomic_numbers, symbol, "element", "the periodic table") for symbol in symbols]


def _joined(parts: Sequence[_Kept]) -> _Kept:
    nothing = np.zeros(0, np.int64)
    return _Kept(
        block=np.concatenate([nothing, *(part.block for part in parts)]),
        row=np.concatenate([nothing, *(part.row for part in parts)]),
        value=np.concatenate([np.zeros(0), *(part.value for part in parts)]),
        fingerprint=tuple(label for part in parts for label in part.fingerprint),
    )


def _best(kept: _Kept, count: int | None) -> _Kept:
    """In order of rank; ties by place, so that the result does not depend on who computed what."""
    return kept.select(np.lexsort((kept.row, kept.block, kept.value))[:count])


def _new(labels: Sequence[str], known: set[str]) -> NDArray[np.int64]:
    """The first place of every label that is not known."""
    seen, places = set(known), []
    for place, label in enumerate(labels):
        if label not in seen:
            seen.add(label)
            places.append(place)
    return np.array(places, dtype=np.int64)


def known_fingerprints(novelty: Novelty | None, cutoff: float) -> set[str]:
    """The fingerprints of the structures in the file that `novelty` names."""
    if novelty is None or novelty.known is None:
        return set()
    source = FileSource([novelty.known])
    if novelty.by == "composition":
        return {composition_key(sample_from_atoms(atoms)) for _, atoms in source.structures()}
    block = source.read(0, source.n_candidates)
    return set(fingerprints(list_block(block, cutoff, 0.0)))


def _take(columns: Columns, rows: NDArray[np.int64]) -> Columns:
    return {name: _rows_of(column, rows) for name, column in columns.items()}


def _rows_of(column: Column, rows: NDArray[np.int64]) -> Column:
    if isinstance(column, Ragged):
        ends = np.cumsum(column.counts)
        starts = ends - column.counts
        places = [np.arange(starts[row], ends[row]) for row in rows]
        return Ragged(
            column.values[np.concatenate([np.zeros(0, np.int64), *places])], column.counts[rows]
        )
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows.tolist()]
