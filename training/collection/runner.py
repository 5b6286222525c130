"""Runs a collection plan: shard by shard, in parallel, resumable, with every failure on record."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from atomfm_calc.errors import LabelError, lookup
from atomfm_calc.files import write_at_once
from atomfm_calc.sample import Sample, check_sample
from training.collection.engines import ENGINES
from training.collection.extxyz import write_shard
from training.collection.generators import GENERATORS
from training.collection.plan import CollectionPlan, SetPlan, Shard, shards_in_order

LOGGER = logging.getLogger(__name__)
RECORD_NAME = "shards.jsonl"
FAILURES_NAME = "failures.jsonl"
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What became of a shard."""

    shard: str
    """File name."""
    set_name: str
    """Set that it belongs to."""
    n_labeled: int
    """Structures in the file."""
    sha256: str
    """Checksum of the file."""
    seconds: float
    """Wall time."""
    failures: tuple[dict[str, Any], ...]
    """source and reason of each structure without labels."""
    versions: dict[str, str]
    """Versions of the programs behind the labels."""


def generate(plan: SetPlan, index: int) -> Sample:
    """Structure `index` of a set, without labels; the same bits every time."""
    make = lookup(GENERATORS, plan.generator, "generator", "the collection")
    sample = make(plan.seed, index, **plan.generator_options)
    return replace(
        sample,
        positions=np.round(sample.positions, plan.position_decimals) + 0.0,
        source=f"{plan.name}#{index}:{sample.source}",
    )


def label_shard(shard: Shard, folder: Path) -> ShardRecord:
    """Generate and label one shard and write its file.

    Structures that the engine refuses are recorded, not replaced.
    """
    start = time.perf_counter()
    plan = shard.plan
    engine = lookup(ENGINES, plan.engine, "label engine", "the collection")(plan.engine_options)
    labeled: list[Sample] = []
    failures: list[dict[str, Any]] = []
    # after the engine's libraries are loaded, so that they are limited as well
    with threadpool_limits(limits=1):
        for index in shard.indices:
            sample = generate(plan, index)
            try:
                done = replace(sample, targets=engine.label(sample))
                check_sample(done)
                labeled.append(done)
            except LabelError as error:
                failures.append({"source": sample.source, "reason": str(error)[:300]})
    path = folder / plan.name / shard.name
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = write_shard(path, labeled, plan.position_decimals, plan.force_decimals)
    return ShardRecord(
        shard=shard.name,
        set_name=plan.name,
        n_labeled=len(labeled),
        sha256=sha256,
        seconds=round(time.perf_counter() - start, 2),
        failures=tuple(failures),
        versions=engine.versions(),
    )


def read_records(folder: Path) -> dict[str, ShardRecord]:
    """Records of the finished shards whose files exist, by file name."""
    path = folder / RECORD_NAME
    if not path.exists():
        return {}
    records = [ShardRecord(**json.loads(line)) for line in path.read_text().splitlines()]
    return {
        record.shard: record
        for record in records
        if (folder / record.set_name / record.shard).exists()
    }


def run(
    plan: CollectionPlan,
    folder: Path,
    n_workers: int,
    niceness: int = 0,
    only: Collection[str] = (),
) -> None:
    """Label everything in the plan that has no finished shard yet.

    Args:
        plan: what to label.
        folder: where the shards, records and manifest go; a folder of an earlier run is continued.
        n_workers: worker processes, one thread each.
        niceness: lowers the workers' priority on a shared machine.
        only: names of the sets to label; empty: all.

    Raises:
        UnknownNameError: the plan has no set of a name in `only`.
        LabelError: a worker process was killed; a new run goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = read_records(folder)
    sets = {entry.name: entry for entry in plan.sets}
    wanted = {lookup(sets, name, "set", "the plan").name for name in only} or set(sets)
    waiting = [
        shard
        for shard in shards_in_order(plan)
        if shard.plan.name in wanted and shard.name not in finished
    ]
    LOGGER.info("%d shards finished, %d to do", len(finished), len(waiting))
    with ProcessPoolExecutor(
        n_workers, mp_context=get_context("spawn"), initializer=os.nice, initargs=(niceness,)
    ) as pool:
        futures = {pool.submit(label_shard, shard, folder): shard for shard in waiting}
        for future in tqdm(
            as_completed(futures), total=len(futures), desc="shards", mininterval=30
        ):
            take(future, futures[future], folder, plan)


def take(future: Future[ShardRecord], shard: Shard, folder: Path, plan: CollectionPlan) -> None:
    """Put the record of a finished shard on file.

    A shard that broke is logged and gets no record, so that the next run makes it again.

    Raises:
        LabelError: a worker process was killed, and all waiting shards with it.
    """
    try:
        record = future.result()
    except BrokenProcessPool as error:
        raise LabelError(
            "a worker process was ended from outside or ran out of memory; "
            "run the same command again to go on"
        ) from error
    except Exception:
        # one broken shard must not end a run of hours
        LOGGER.exception("shard %s broke", shard.name)
        return
    with (folder / FAILURES_NAME).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(failure) + "\n" for failure in record.failures)
    with (folder / RECORD_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")
    LOGGER.info(
        "%s: %d labeled, %d failed, %.1f s",
        record.shard,
        record.n_labeled,
        len(record.failures),
        record.seconds,
    )
    write_manifest(plan, folder)


def reasons(records: Mapping[str, ShardRecord]) -> dict[str, dict[str, int]]:
    """Number of failures per set and reason word."""
    counts: dict[str, Counter[str]] = {}
    for record in records.values():
        words = (failure["reason"].split(":")[0] for failure in record.failures)
        counts.setdefault(record.set_name, Counter()).update(words)
    return {name: dict(counter) for name, counter in counts.items()}


def write_manifest(plan: CollectionPlan, folder: Path) -> None:
    """Write `manifest.json`: versions, settings, seeds, checksums, counts, failures by reason."""
    records = read_records(folder)
    versions = {name: version(name) for name in ("numpy", "ase", "rdkit")}
    for record in records.values():
        versions.update(record.versions)
    content = {
        "format": 1,
        "versions": versions,
        "sets": [asdict(entry) for entry in plan.sets],
        "labeled": sum(record.n_labeled for record in records.values()),
        "failures": reasons(records),
        "shards": {
            name: {
                "set": record.set_name,
                "labeled": record.n_labeled,
                "failed": len(record.failures),
                "sha256": record.sha256,
            }
            for name, record in sorted(records.items())
        },
    }
    write_at_once((json.dumps(content, indent=1) + "\n").encode(), folder / MANIFEST_NAME)
