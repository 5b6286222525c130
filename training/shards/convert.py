"""A dataset's files -> the shards of a head, by any number of processes, stopped at any time.

What goes into which shard follows from files and settings alone; processes and ranks only divide
the shards. A shard whose sidecar is there is finished; everything else is made anew, so a
conversion that was killed is started again and loses or doubles nothing.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from atomfm_calc.errors import DataError
from training.datasets.adapter import Dataset
from training.datasets.chosen import chosen_dataset
from training.describe import merge
from training.own_data import OwnData
from training.shards.chunk import Chunk, convert_chunks, versions
from training.shards.layout import (
    INDEX_FILE,
    PLAN_FILE,
    SHARD_FORMAT,
    SIZES_FILE,
    UNITS,
    ConvertSettings,
    Plan,
    ShardIndex,
    ShardPart,
    ShardRecord,
    Sidecar,
    SourceFile,
    check_files,
    file_record,
    read_json,
    shard_name,
    write_bytes,
    write_json,
)
from training.shards.reader import sizes_bytes
from training.shards.shard_file import ShardFile

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Mapper = Callable[..., Iterator[Any]]
"""`map`: a function and its arguments -> the results in their order."""


class Team(Protocol):
    """Processes that convert together."""

    rank: int
    size: int

    def gather(self, value: Any) -> list[Any]:
        """The values of all members, on all members, in the order of ranks."""


class Alone:
    """A team of one process."""

    rank, size = 0, 1

    def gather(self, value: Any) -> list[Any]:
        """The value."""
        return [value]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to convert, and by whom."""

    dataset: str
    """Key of `DATASETS`."""
    root: Path
    """Folder, or file, of the data."""
    out: Path
    """Folder of all heads' shards."""
    head: str = ""
    """The head that learns from them; empty: the name of the dataset."""
    settings: ConvertSettings = field(default_factory=ConvertSettings)
    """What the shards hold."""
    hash_files: bool = True
    """Record the SHA-256 of the data files, which reads them once more."""
    workers: int = 1
    """Processes of this rank."""
    own: OwnData | None = None
    """What the numbers of a user's files mean; None: as the dataset says."""

    @property
    def folder(self) -> Path:
        """Of the head."""
        return self.out / (self.head or self.dataset)

    @property
    def meaning(self) -> dict[str, str | None]:
        """Keys and units as the plan records them; empty: as the dataset says."""
        return {} if self.own is None else self.own.meaning()


def convert(order: Order, team: Team | None = None) -> ShardIndex:
    """Convert a dataset; goes on where a conversion with the same settings was stopped.

    Args:
        order: what to do.
        team: None: this process alone.

    Raises:
        UnknownNameError: no such dataset.
        ConfigError: keys and units for files that are not the user's.
        DataError: missing or damaged data files (names file and record), a folder that holds shards
            of other settings or files, no training structure left, a full disk.
    """
    team = Alone() if team is None else team
    dataset = chosen_dataset(order.dataset, order.own)
    paths = _by_first(team, lambda: _paths(dataset, order))
    with _workers(order.workers) as mapper:
        plan = _agree(order, paths, team, mapper)
        finished = _by_first(team, lambda: _finished(order.folder, plan))
        todo = [number for number in range(len(plan.shards)) if number not in finished]
        if team.rank == 0:
            logger.info(
                "%s: %d files, %d shards, %d of them finished before",
                plan.head, len(plan.files), len(plan.shards), len(finished),
            )  # fmt: skip
        # successive shards to each process: it reads on where the last one ended
        blocks = np.array_split(todo, team.size * order.workers)
        mine = blocks[team.rank * order.workers : (team.rank + 1) * order.workers]
        chunks = [
            [_chunk(number, plan, order, paths) for number in block.tolist()] for block in mine
        ]
        _together(team, lambda: list(mapper(convert_chunks, chunks)))
    return _by_first(team, lambda: _finish(order.folder, plan, dataset))


def _together(team: Team, work: Callable[[], Result]) -> list[Result]:
    """The results of all ranks; if one fails, all raise, so that none waits for it for ever."""
    if team.size == 1:
        return [work()]
    result, problem = None, ""
    try:
        result = work()
    except Exception as error:
        problem = f"rank {team.rank}: {type(error).__name__}: {error}"
        logger.error("%s", problem)  # now: other ranks may be busy for long
    answers = team.gather((result, problem))
    problems = list(dict.fromkeys(text for _, text in answers if text))
    if problems:
        raise DataError("; ".join(problems))
    return [answer for answer, _ in answers]


def _by_first(team: Team, work: Callable[[], Result]) -> Result:
    """The result of rank 0, on all ranks."""
    results: list[Any] = _together(team, lambda: work() if team.rank == 0 else None)
    first: Result = results[0]
    return first


def _paths(dataset: Dataset, order: Order) -> list[Path]:
    paths = dataset.files(order.root)
    try:
        order.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{order.folder} cannot be made: {error.strerror}; choose another --out"
        ) from error
    return paths


def _agree(order: Order, paths: list[Path], team: Team, mapper: Mapper) -> Plan:
    """The plan of a conversion begun before, or a new one."""
    path = order.folder / PLAN_FILE
    known = _by_first(team, lambda: read_json(Plan, path) if path.exists() else None)
    names = [
        one.name if one == order.root else one.relative_to(order.root).as_posix() for one in paths
    ]
    if known is not None:
        _by_first(team, lambda: _check_plan(known, order, names, paths))
        return known
    surveys = [
        _Survey(
            dataset=order.dataset,
            own=order.own,
            name=name,
            path=one,
            hash_file=order.hash_files,
        )
        for name, one in zip(names, paths, strict=True)
    ]
    mine = surveys[team.rank :: team.size]
    dealt = _together(team, lambda: list(mapper(_survey, mine)))
    # file i was looked at by rank i % size, as its number i // size
    files = [dealt[number % team.size][number // team.size] for number in range(len(paths))]
    plan = plan_shards(order, files)
    _by_first(team, lambda: write_json(plan, path))
    return plan


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """A data file to count and hash."""

    dataset: str
    own: OwnData | None
    name: str
    path: Path
    hash_file: bool


def _survey(survey: _Survey) -> SourceFile:
    dataset = chosen_dataset(survey.dataset, survey.own)
    return SourceFile(
        name=survey.name,
        n_records=dataset.count(survey.path),
        content=file_record(survey.path, survey.hash_file),
        split=dataset.published_split(survey.path),
    )


def plan_shards(order: Order, files: list[SourceFile]) -> Plan:
    """Divide all records: small files share a shard, a large one is cut into several.

    A file that no longer fits is begun in the next shard, so that it is cut only at multiples of
    `structures_per_shard`: many formats can only be read from the beginning.
    """
    size, shards = order.settings.structures_per_shard, []
    open_parts: list[ShardPart] = []
    for number, file in enumerate(files):
        filled = sum(part.stop - part.start for part in open_parts)
        if open_parts and filled + file.n_records > size:
            shards.append(tuple(open_parts))
            open_parts = []
        for start in range(0, file.n_records, size):
            stop = min(start + size, file.n_records)
            open_parts.append(ShardPart(file=number, start=start, stop=stop))
            if stop < file.n_records:
                shards.append(tuple(open_parts))
                open_parts = []
    if open_parts:
        shards.append(tuple(open_parts))
    return Plan(
        format=SHARD_FORMAT,
        head=order.head or order.dataset,
        dataset=order.dataset,
        settings=order.settings,
        files=tuple(files),
        shards=tuple(shards),
        own=order.meaning,
    )


def _check_plan(plan: Plan, order: Order, names: list[str], paths: list[Path]) -> None:
    instead = "choose another --out, or delete the folder to begin anew"
    before = _facts(plan.dataset, plan.own, plan.settings)
    now = _facts(order.dataset, order.meaning, order.settings)
    other = [f"{key} {before[key]}, now {now[key]}" for key in now if before[key] != now[key]]
    if other:
        raise DataError(f"{order.folder} was begun with {'; '.join(other)}; {instead}")
    planned = [(file.name, file.content.size) for file in plan.files]
    present = [(name, path.stat().st_size) for name, path in zip(names, paths, strict=True)]
    if planned != present:
        changed = sorted({name for name, _ in set(planned) ^ set(present)})
        raise DataError(
            f"{order.folder} was begun with other data files than {order.root} holds now; "
            f"different: {', '.join(changed[:5])}; bring them back, or {instead}"
        )


def _facts(
    dataset: str, own: dict[str, str | None], settings: ConvertSettings
) -> dict[str, object]:
    """All that must be the same when a conversion goes on."""
    assumed = OwnData(path=Path()).meaning()  # where nothing is said of a user's files
    return {"dataset": dataset, **assumed, **own, **asdict(settings)}


def _finished(folder: Path, plan: Plan) -> set[int]:
    """Shards with a sidecar and all files that it names, of the right size."""
    finished = set()
    for number in range(len(plan.shards)):
        path = folder / f"{shard_name(number)}.json"
        if path.exists():
            record = read_json(Sidecar, path).record
            check_files(folder, record, with_checksums=False)
            finished.add(number)
    return finished


def _chunk(number: int, plan: Plan, order: Order, paths: list[Path]) -> Chunk:
    return Chunk(
        number=number,
        dataset=order.dataset,
        head=plan.head,
        folder=order.folder,
        settings=plan.settings,
        parts=tuple(
            (paths[part.file], plan.files[part.file], part) for part in plan.shards[number]
        ),
        own=order.own,
    )


@contextmanager
def _workers(count: int) -> Iterator[Mapper]:
    """A `map` that keeps the order, by this process or by several."""
    if count <= 1:
        yield map
        return
    # a forked process would share the threads of torch and of MPI
    context = multiprocessing.get_context("spawn")
    say = partial(logging.basicConfig, level=logging.getLogger().level, format="%(message)s")
    with ProcessPoolExecutor(count, mp_context=context, initializer=say) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _finish(folder: Path, plan: Plan, dataset: Dataset) -> ShardIndex:
    """Write what is known about all shards together."""
    sidecars = [
        read_json(Sidecar, folder / f"{shard_name(number)}.json")
        for number in range(len(plan.shards))
    ]
    records = tuple(sidecar.record for sidecar in sidecars)
    refused = _total(record.refused for record in records)
    if not sum(record.n_structures.get("train", 0) for record in records):
        raise DataError(
            f"head {plan.head!r} has no training structures; refused: {refused or 'none'}"
        )
    write_bytes(sizes_bytes(_sizes(folder, records, plan.head)), folder / SIZES_FILE)
    index = ShardIndex(
        format=SHARD_FORMAT,
        head=plan.head,
        dataset=plan.dataset,
        info=asdict(dataset.info),
        units=UNITS,
        settings=plan.settings,
        files=plan.files,
        shards=records,
        sizes=file_record(folder / SIZES_FILE),
        refused=refused,
        summary=merge([sidecar.summary for sidecar in sidecars]),
        versions=versions(),
        own=plan.own,
    )
    write_json(index, folder / INDEX_FILE)
    return index


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return dict(sorted(total.items()))


def _sizes(folder: Path, records: tuple[ShardRecord, ...], head: str) -> np.ndarray[Any, Any]:
    """Atoms and edges of every structure [2, structures]."""
    parts = [np.zeros((2, 0), dtype=np.int64)]
    for record in records:
        if record.files:
            shard = ShardFile(folder, record, head)
            columns = shard.structures
            parts.append(np.stack([columns["n_atoms"], columns["n_edges"]]).astype(np.int64))
            shard.close()
    return np.concatenate(parts, axis=1)
