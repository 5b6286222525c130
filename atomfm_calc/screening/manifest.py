"""What is done, and who does what: each block exactly once, whoever is killed at whatever moment.

    STAGE/rows/part-0012/block-0012345.parquet        the rows of a block
    STAGE/quarantine/part-0012/block-0012345.parquet  its quarantined candidates, if there are any
    STAGE/journal/RANK-HOST-PROCESS.jsonl             a line for each block that a process finished
    STAGE/claims/block-0012345                        exists while somebody works on it

A block is done when its file has been renamed into place and its size stands in a journal. Its name
is its number, so a block that two processes should ever compute is still there once. A claim only
saves work: one whose owner does not renew it any more is taken over.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from atomfm_calc.files import sync

BLOCKS_PER_FOLDER = 1000
CLAIM_LIFETIME_S = 60.0
"""A claim that was not renewed for so long belongs to nobody."""


@dataclass(frozen=True, kw_only=True)
class BlockRecord:
    """One line of a journal."""

    block: int
    """Number."""
    size: int
    """Bytes of the rows."""
    sha256: str
    """Of the rows."""
    quarantine_sha256: str
    """Of the quarantined candidates; empty if there are none."""
    n_rows: int
    """Structures with results."""
    n_quarantined: int
    """Structures without."""
    seconds: float
    """From claim to record."""
    finished: float
    """Seconds since 1970."""
    rank: int
    """Who."""


class StageFolder:
    """The files of one stage."""

    def __init__(self, path: Path, suffix: str) -> None:
        self.path, self.suffix = path, suffix
        self.journal, self.claims = path / "journal", path / "claims"

    def prepare(self) -> None:
        """Make the folders."""
        for folder in (self.journal, self.claims, self.path / "rows", self.path / "quarantine"):
            folder.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Delete what killed processes have left half written; nobody may be writing."""
        for partial in list(self.path.rglob(".*.partial")):
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)

    def rows(self, block: int) -> Path:
        """Where the rows of a block are."""
        return self._file("rows", block, self.suffix)

    def quarantine(self, block: int) -> Path:
        """Where the quarantined candidates of a block are."""
        return self._file("quarantine", block, ".parquet")

    def _file(self, kind: str, block: int, suffix: str) -> Path:
        part = f"part-{block // BLOCKS_PER_FOLDER:04d}"
        return self.path / kind / part / f"block-{block:07d}{suffix}"


class Journals:
    """What all processes have finished, read as it grows."""

    def __init__(self, folder: StageFolder) -> None:
        self.folder = folder
        self.records: dict[int, BlockRecord] = {}
        """The last record of each block."""
        self._read_up_to: dict[str, int] = {}
        self._lock = threading.Lock()
        self._format = TypeAdapter(BlockRecord)

    def refresh(self) -> None:
        """Read what was added; a line that was cut off is none. May be called from any thread."""
        with self._lock:
            self._refresh()

    def finished(self) -> list[BlockRecord]:
        """The records so far; they stay as they are while other threads read on."""
        with self._lock:
            return list(self.records.values())

    def _refresh(self) -> None:
        with os.scandir(self.folder.journal) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries}
        for name, size in sorted(sizes.items()):
            start = self._read_up_to.get(name, 0)
            if size > start and name.endswith(".jsonl"):
                self._read_up_to[name] = start + self._read(self.folder.journal / name, start)

    def _read(self, path: Path, start: int) -> int:
        with path.open("rb") as file:
            file.seek(start)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        for line in complete.splitlines():
            try:
                record = self._format.validate_json(line)
            except ValidationError:
                continue  # its block counts as not done and is computed again
            self.records[record.block] = record
        return len(complete)

    def is_done(self, block: int) -> bool:
        """Whether a block is recorded and its file is there, as large as recorded."""
        size = size_of(self.folder.rows(block))
        if size is None:
            return False
        if block not in self.records:
            self.refresh()  # somebody else may have finished it since
        record = self.records.get(block)
        return record is not None and record.size == size


class JournalWriter:
    """The journal of this process; new for every start, so none is continued behind a tear."""

    def __init__(self, folder: StageFolder, rank: int) -> None:
        name = f"{rank:05d}-{platform.node()}-{os.getpid()}-{time.time_ns()}.jsonl"
        self._path = folder.journal / name

    def add(self, record: BlockRecord) -> None:
        """Record a block; it is on the disk when this returns."""
        is_new = not self._path.exists()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync(self._path.parent)


class Claims:
    """Blocks that somebody works on; renewed by a thread of this process while it lives."""

    def __init__(
        self, folder: StageFolder, rank: int, lifetime_s: float = CLAIM_LIFETIME_S
    ) -> None:
        self.folder, self.lifetime_s = folder.claims, lifetime_s
        self._owner = {"host": platform.node(), "process": os.getpid(), "rank": rank}
        self._mine: set[Path] = set()
        self._clock = self.folder / f".clock-{platform.node()}-{os.getpid()}"
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="claims", daemon=True)

    def __enter__(self) -> Claims:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join()
        for path in (*self._mine, self._clock):
            path.unlink(missing_ok=True)

    def take(self, block: int) -> bool:
        """Claim a block; False if a living process has it."""
        path = self._path(block)
        if self._create(path):
            return True
        if self._is_alive(path):
            return False
        path.unlink(missing_ok=True)
        return self._create(path)

    def release(self, block: int) -> None:
        """Give a block back, done or not."""
        path = self._path(block)
        self._mine.discard(path)
        path.unlink(missing_ok=True)

    def forget_dead(self) -> bool:
        """Delete claims of processes that are gone; whether nobody has a claim then."""
        alive = False
        for path in list(self.folder.glob("block-*")):
            if self._is_alive(path):
                alive = True
            else:
                path.unlink(missing_ok=True)
        return not alive

    def _path(self, block: int) -> Path:
        return self.folder / f"block-{block:07d}"

    def _create(self, path: Path) -> bool:
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._owner, file)
        self._mine.add(path)
        return True

    def _is_alive(self, path: Path) -> bool:
        try:
            renewed = path.stat().st_mtime
            owner = _owner(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return True  # it has just gone: its owner has finished the block
        if owner.get("host") == platform.node() and not _runs(owner.get("process", 0)):
            return False
        self._clock.touch()  # the file server's time, not this node's
        # after a clock was set back, old claims lie in the future; living owners renew theirs
        return abs(self._clock.stat().st_mtime - renewed) < self.lifetime_s

    def _renew(self) -> None:
        while not self._closed.wait(self.lifetime_s / 4):
            for path in list(self._mine):
                if path.exists():
                    os.utime(path)


def size_of(path: Path) -> int | None:
    """Bytes of a file, or of all files of a folder; None if there is none."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())
    except FileNotFoundError:
        return None


def _owner(text: str) -> dict[str, Any]:
    try:
        owner: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        return {}  # it is just being written, or its writer was killed doing so
    return owner


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
