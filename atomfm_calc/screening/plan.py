"""What a large screening would take: the rate measured here, extrapolated with its assumptions."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atomfm_calc.errors import ConfigError
from atomfm_calc.screening.campaign import Campaign
from atomfm_calc.screening.drive import open_evaluator, stage_work
from atomfm_calc.screening.evaluation import Columns
from atomfm_calc.screening.graphs import ListedBlock, list_block
from atomfm_calc.screening.manifest import size_of
from atomfm_calc.screening.rows import join, n_rows_of
from atomfm_calc.screening.runner import StageWork, compute
from atomfm_calc.screening.sources import open_source

N_WRITES = 5
MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of one rank on this machine."""

    structures_per_s: float
    """Listed, evaluated and described, one after the other."""
    listing_per_s: float
    """Read or made, checked and listed."""
    atoms_per_structure: float
    """Mean."""
    edges_per_structure: float
    """Mean."""
    rows_per_candidate: float
    """Part that was not quarantined."""
    bytes_per_row: float
    """On the disk, compressed."""
    store_MiB_per_s: float
    """Blocks written, flushed to the disk and renamed, one after the other, by one rank."""
    start_s: float
    """Loading the model and the first batch, which compiles."""


@dataclass(frozen=True, kw_only=True)
class Projection:
    """For one number of ranks."""

    ranks: int
    """Each with what one rank had when it was measured."""
    seconds: float
    """Of all candidates, the slower of computing and writing, and the start."""
    structures_per_s: float
    """Of all ranks together."""
    store_MiB_per_s: float
    """That all ranks write together."""
    is_bound_by_store: bool
    """Whether one rank's writing would be slower than its computing."""


ASSUMPTIONS = (
    "every rank computes as fast as the one measured here: same device, same threads, nothing "
    "shared that slows it down",
    "the candidates are like those measured; larger structures take longer",
    "the file system takes what all ranks write together and a new file for every block; only one "
    "rank's writing, here, was measured",
    "no rank waits for another: blocks are taken over at the end; about one block's time is lost",
    "listing and the model take turns in what was measured; a run overlaps them, so a rank with a "
    "device is faster, up to the rate of the slower of the two",
)


def measure(campaign: Campaign, seconds: float) -> Measured:
    """Screen candidates of the first stage into a temporary folder for some seconds.

    Raises:
        ConfigError: there is no candidate to measure with.
    """
    begin = time.perf_counter()
    evaluator, source = open_evaluator(campaign), open_source(campaign.candidates)
    if source.n_candidates == 0:
        raise ConfigError("there are no candidates to measure with")
    with tempfile.TemporaryDirectory(dir=".") as folder:  # where results would go
        stage = campaign.stages[0]
        work = stage_work(campaign, stage, evaluator, source, Path(folder))
        size = min(200, source.n_candidates)
        compute(work, _listed(work, 0, size))
        start_s = time.perf_counter() - begin
        listing, computing, columns, seen = _rates(work, size, seconds)
        rows = [n_rows_of(part) for part in columns]
        mean_atoms = np.concatenate([np.asarray(part["n_atoms"]) for part in columns]).mean()
        write_s, per_row = _write(
            work, columns[: max(work.source.n_candidates // size, 1)], Path(folder)
        )
    return Measured(
        structures_per_s=seen.n_candidates / (listing + computing),
        listing_per_s=seen.n_candidates / listing,
        atoms_per_structure=float(mean_atoms),
        edges_per_structure=seen.n_edges / max(sum(rows), 1),
        rows_per_candidate=sum(rows) / seen.n_candidates,
        bytes_per_row=per_row,
        store_MiB_per_s=per_row / write_s / MEBIBYTE,
        start_s=start_s,
    )


@dataclass(kw_only=True)
class _Seen:
    n_candidates: int = 0
    n_edges: int = 0


def _rates(work: StageWork, size: int, seconds: float) -> tuple[float, float, list[Columns], _Seen]:
    """Seconds of listing and of computing, the rows, and how many candidates these took."""
    listing = computing = 0.0
    columns: list[Columns] = []
    seen, total = _Seen(), work.source.n_candidates
    while listing + computing < seconds or not columns:
        start = seen.n_candidates % max(total - size + 1, 1)  # a small set is gone through again
        begin = time.perf_counter()
        listed = _listed(work, start, start + size)
        middle = time.perf_counter()
        columns.append(compute(work, listed)[1])
        listing, computing = (
            listing + middle - begin,
            computing + time.perf_counter() - middle,
        )
        seen.n_candidates += size
        seen.n_edges += int(listed.n_edges.sum())
    return listing, computing, columns, seen


def _listed(work: StageWork, start: int, stop: int) -> ListedBlock:
    found = work.source.read(start, stop)
    return list_block(found, work.evaluator.cutoff, work.shortest_distance)


def _write(work: StageWork, parts: Sequence[Columns], folder: Path) -> tuple[float, float]:
    """Seconds and bytes per row of blocks of the measured rows, written as a run would."""
    block = join(parts)  # no row twice: repeated rows would take no space when compressed
    paths = [folder / f"block-{number:07d}{work.sink.suffix}" for number in range(N_WRITES)]
    begin = time.perf_counter()
    for path in paths:
        work.sink.write(block, path)
    seconds = (time.perf_counter() - begin) / N_WRITES
    n_rows = max(n_rows_of(block), 1)
    return seconds / n_rows, (size_of(paths[0]) or 0) / n_rows


def project(measured: Measured, n_candidates: float, ranks: Sequence[int]) -> list[Projection]:
    """Time and traffic for each number of ranks.

    Args:
        measured: by `measure`.
        n_candidates: of the large screening.
        ranks: processes, one for each device.
    """
    bytes_per_candidate = measured.bytes_per_row * measured.rows_per_candidate
    writable = measured.store_MiB_per_s * MEBIBYTE / max(bytes_per_candidate, 1e-9)
    rate = min(measured.structures_per_s, writable)  # structures/s of one rank
    return [
        Projection(
            ranks=number,
            seconds=measured.start_s + n_candidates / (rate * number),
            structures_per_s=rate * number,
            store_MiB_per_s=rate * number * bytes_per_candidate / MEBIBYTE,
            is_bound_by_store=writable < measured.structures_per_s,
        )
        for number in ranks
    ]
