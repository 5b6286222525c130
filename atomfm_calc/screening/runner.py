"""One stage on one rank: claim a block, list, evaluate, write, record; until all are done.

Reading and listing go on in a thread ahead of the model, writing in another behind it. Each rank
begins with its own range of blocks and then helps the others from the ends of theirs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from atomfm_calc.screening.ahead import made_ahead
from atomfm_calc.screening.evaluation import Columns, StageEvaluator
from atomfm_calc.screening.fingerprint import fingerprints
from atomfm_calc.screening.graphs import ListedBlock, list_block
from atomfm_calc.screening.hull import EnergyHull
from atomfm_calc.screening.manifest import (
    CLAIM_LIFETIME_S,
    BlockRecord,
    Claims,
    Journals,
    JournalWriter,
    StageFolder,
    size_of,
)
from atomfm_calc.screening.relaxation import relax_block
from atomfm_calc.screening.rows import describe, join, n_rows_of, quarantine_rows
from atomfm_calc.screening.selection import check_columns
from atomfm_calc.screening.sinks.parquet import ParquetSink
from atomfm_calc.screening.sinks.sink import Sink
from atomfm_calc.screening.structures import CandidateSource, Rejection, StructureBlock
from atomfm_calc.screening.team import Team

logger = logging.getLogger(__name__)

ATOMS_AT_ONCE = 12_000
"""Of a part of a block that is listed and evaluated together; bounds memory."""
FIRST_PART = 100
"""Candidates of a block's first part, which tells how large they are."""
LARGEST_PART = 2000
MOST_UNWRITTEN = 4
"""Blocks that wait to be written; the model waits rather than to fill the memory."""
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class StageWork:
    """Everything that a rank needs for one stage."""

    source: CandidateSource
    """The candidates."""
    block_size: int
    """Of them in each block."""
    evaluator: StageEvaluator
    """Model and heads."""
    shortest_distance: float
    """Å"""
    folder: StageFolder
    """Where it goes."""
    sink: Sink
    """In which format."""
    hull: EnergyHull | None = None
    """Of the stage; None: no column "energy_above_hull"."""
    claim_lifetime_s: float = CLAIM_LIFETIME_S
    """See `manifest`."""

    @property
    def n_blocks(self) -> int:
        """Number of blocks; the last may be shorter."""
        return -(-self.source.n_candidates // self.block_size)

    def range_of(self, block: int) -> tuple[int, int]:
        """First candidate of a block, and the one behind its last."""
        start = block * self.block_size
        return start, min(start + self.block_size, self.source.n_candidates)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """Successive candidates of a block, listed."""

    block: int
    listed: ListedBlock
    is_last: bool
    claimed: float


def run_stage(
    work: StageWork, team: Team, report: Callable[[Journals], None] = lambda journals: None
) -> None:
    """Compute what is missing of a stage, together with the other ranks; returns when all is done.

    Args:
        work: the same on all ranks.
        team: place of this one.
        report: is called after every block that this rank has finished, and while it waits.
    """
    work.folder.prepare()
    journals, journal = Journals(work.folder), JournalWriter(work.folder, team.rank)
    journals.refresh()
    with (
        Claims(work.folder, team.rank, work.claim_lifetime_s) as claims,
        ThreadPoolExecutor(1, "writer") as writer,
        closing(made_ahead(_parts(work, _blocks(work, team, journals, claims)))) as parts,
    ):
        written: list[Future[None]] = []
        rows: list[Columns] = []
        rejected: list[Rejection] = []
        for part in parts:
            block, columns = compute(work, part.listed)
            if not rows:
                check_columns(work.evaluator.stage, columns)
            rows.append(columns)
            rejected += block.rejected
            if part.is_last:
                finished = _Finished(
                    work=work,
                    rank=team.rank,
                    block=part.block,
                    claimed=part.claimed,
                    columns=join(rows),
                    rejected=tuple(rejected),
                )
                written.append(writer.submit(finished.write, journal, claims))
                rows, rejected = [], []
                written = _raise_errors(written)
                if len(written) > MOST_UNWRITTEN:  # the store is slower than the model
                    written.pop(0).result()
                report(journals)
        for future in written:
            future.result()
        if team.rank == 0 and claims.forget_dead():
            work.folder.clean()
    journals.refresh()
    report(journals)


def _blocks(work: StageWork, team: Team, journals: Journals, claims: Claims) -> Iterator[int]:
    """Blocks that this rank has claimed, until every block is recorded."""
    own = list(team.share(work.n_blocks))
    for block in own:
        if not journals.is_done(block) and claims.take(block):
            if journals.is_done(block):  # finished by a helper between the two questions
                claims.release(block)
            else:
                yield block
    mine = set(own)
    while True:
        journals.refresh()
        missing = [block for block in _help_order(work, team) if block not in journals.records]
        if not missing and all(journals.is_done(block) for block in mine):
            return
        for block in missing or own:
            if claims.take(block):
                if not journals.is_done(block):
                    yield block
                    break
                claims.release(block)
        else:
            time.sleep(POLL_S)


def _help_order(work: StageWork, team: Team) -> Iterator[int]:
    """All blocks: own ones first, then those of the next ranks from the ends of their shares."""
    yield from team.share(work.n_blocks)
    for step in range(1, team.ranks):
        yield from reversed(team.share_of((team.rank + step) % team.ranks, work.n_blocks))


def _parts(work: StageWork, blocks: Iterator[int]) -> Iterator[_Part]:
    """Blocks in parts of bounded size; how a block is divided depends on its structures only."""
    cutoff = work.evaluator.cutoff
    for block in blocks:
        claimed = time.perf_counter()
        start, stop = work.range_of(block)
        begin, size, n_atoms = start, FIRST_PART, 0
        while True:
            end = min(begin + size, stop)
            found = work.source.read(begin, end)
            n_atoms += int(found.n_atoms.sum())
            listed = list_block(found, cutoff, work.shortest_distance)
            yield _Part(block=block, listed=listed, is_last=end == stop, claimed=claimed)
            if end == stop:
                break
            mean = max(n_atoms / (end - start), 1.0)
            begin, size = end, min(max(int(ATOMS_AT_ONCE / mean), 1), LARGEST_PART)


def compute(work: StageWork, listed: ListedBlock) -> tuple[StructureBlock, Columns]:
    """The rows of a part, and its block with everything that was rejected on the way."""
    evaluator, stage = work.evaluator, work.evaluator.stage
    course: Columns = {}
    if stage.relax is not None:
        listed, course = _relaxed(work, listed)
    block, columns = evaluator.evaluate(listed)
    for name, column in course.items():  # of the structures that are left
        kept = np.isin(listed.block.index, block.index)
        columns[name] = np.asarray(column)[kept]
    if work.hull is not None:
        energies = np.asarray(columns["energy"], dtype=np.float64)
        columns["energy_above_hull"] = work.hull.above(block, energies)
    described = describe(block, "structures" in stage.store or stage.relax is not None)
    if stage.prototype:
        described["prototype"] = fingerprints(
            listed.select(np.isin(listed.block.index, block.index))
        )
    return block, described | columns


def _relaxed(work: StageWork, listed: ListedBlock) -> tuple[ListedBlock, Columns]:
    """The part at its minima, listed again, with the columns of the relaxation."""
    evaluator, stage = work.evaluator, work.evaluator.stage
    if stage.relax is None:
        return listed, {}
    first_head = evaluator.admit(listed.block)[0]
    details = [f"{evaluator.heads[0]}, which relaxes, does not cover it"] * int((~first_head).sum())
    block = listed.block.reject(~first_head, "not-covered", details)
    block, n_steps, is_relaxed = relax_block(
        evaluator.evaluator, evaluator.heads[0], block, stage.relax, evaluator.budget
    )
    again = list_block(block, evaluator.cutoff, work.shortest_distance)
    kept = np.isin(block.index, again.block.index)
    return again, {"relaxed": is_relaxed[kept], "relax_steps": n_steps[kept]}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Finished:
    """A block that is computed, to be written."""

    work: StageWork
    rank: int
    block: int
    claimed: float
    columns: Columns
    rejected: tuple[Rejection, ...]

    def write(self, journal: JournalWriter, claims: Claims) -> None:
        """Rename into place, record, release: in this order, each complete before the next."""
        folder, block = self.work.folder, self.block
        path, quarantine = folder.rows(block), folder.quarantine(block)
        path.parent.mkdir(parents=True, exist_ok=True)
        quarantine_sha256 = ""
        if self.rejected:
            quarantine.parent.mkdir(parents=True, exist_ok=True)
            quarantine_sha256 = ParquetSink().write(quarantine_rows(self.rejected), quarantine)
        else:
            quarantine.unlink(missing_ok=True)
        sha256 = self.work.sink.write(self.columns, path)
        journal.add(
            BlockRecord(
                block=block,
                size=size_of(path) or 0,
                sha256=sha256,
                quarantine_sha256=quarantine_sha256,
                n_rows=n_rows_of(self.columns),
                n_quarantined=len(self.rejected),
                seconds=time.perf_counter() - self.claimed,
                finished=time.time(),
                rank=self.rank,
            )
        )
        claims.release(block)


def _raise_errors(written: list[Future[None]]) -> list[Future[None]]:
    """Raise what a writer raised; the writes that still go on."""
    for future in written:
        if future.done():
            future.result()
    return [future for future in written if not future.done()]
