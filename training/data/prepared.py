"""Prepared graphs on disk: one safetensors file per data file.

Found by the file's content, by what that is taken to mean, and by the cutoff.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from atomfm_calc.errors import DataError
from atomfm_calc.files import replacing
from atomfm_calc.sample import Sample, check_sample
from training.data.packed import COLUMNS, PackedGraphs, concatenate, pack

logger = logging.getLogger(__name__)

PREPARED_FORMAT = 2
"""Raised whenever the content of the cache changes its meaning."""
GROUPS = "groups"
"""Column of the groups, UTF-8 bytes of a JSON list, beside those of the graphs."""
Reader = Callable[[Path], Iterable[Sample]]
Names = NDArray[np.object_]
"""Text [S]."""


class DataFile(NamedTuple):
    """A data file and the content it is meant to have."""

    path: Path
    """Where it is, or was: the cache needs only the checksum."""
    sha256: str
    """Hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The graphs of one data file, or of several."""

    graphs: PackedGraphs
    """Those that passed `check_sample`."""
    groups: Names
    """`Sample.group` of each [S]; empty: its composition."""
    refused: dict[str, int]
    """Number of refused samples by reason."""

    def without(self, found: Mapping[str, NDArray[np.bool_]]) -> Prepared:
        """Leave out, and count, the structures that are true [S] for any of the reasons."""
        counts = Counter({reason: int(bad.sum()) for reason, bad in found.items() if bad.any()})
        if not counts:
            return self
        kept = np.flatnonzero(~np.logical_or.reduce(list(found.values())))
        return Prepared(
            graphs=self.graphs.select(kept),
            groups=self.groups[kept],
            refused=dict(Counter(self.refused) + counts),
        )


def join(parts: Sequence[Prepared]) -> Prepared:
    """All structures of `parts`, in order; DataError if there are no parts."""
    graphs = concatenate([part.graphs for part in parts])
    groups = np.concatenate([part.groups for part in parts])
    refused = sum((Counter(part.refused) for part in parts), Counter[str]())
    return Prepared(graphs=graphs, groups=groups, refused=dict(refused))


def data_file(path: Path) -> DataFile:
    """The file with the content it has now."""
    return DataFile(path, hashlib.sha256(path.read_bytes()).hexdigest())


def prepare_file(
    file: DataFile, read: Reader, cutoff: float, cache: Path | None, settings: str = ""
) -> Prepared:
    """The graphs of a data file, from the cache if they were made before.

    Args:
        file: the data file; if the cache has its content, it need not exist any more.
        read: file -> samples; used only if the cache does not have the file.
        cutoff: Å.
        cache: folder of prepared files, made if absent; None: no cache.
        settings: all else that the samples of `read` depend on, such as keys and units.

    Raises:
        DataError: the file is needed, but gone or changed.
    """
    meaning = hashlib.sha256(settings.encode()).hexdigest()[:12]
    key = f"{file.sha256[:24]}-{meaning}-{cutoff:.3f}-{PREPARED_FORMAT}"
    cached = None if cache is None else cache / f"{key}.safetensors"
    kept = None if cached is None else _load(cached)
    if kept is not None:
        return kept
    if not file.path.is_file() or data_file(file.path) != file:
        raise DataError(
            f"{file.path} is gone or was changed since it was recorded (SHA-256 {file.sha256}), "
            "and the cache does not have it; bring the file back"
        )
    logger.info("building the graphs of %s", file.path.name)
    refused: Counter[str] = Counter()
    groups: list[str] = []
    graphs = pack(_checked(read(file.path), refused, groups), cutoff)
    prepared = Prepared(graphs=graphs, groups=_names(groups), refused=dict(refused))
    if cached is not None:
        _save(prepared, cached)
    return prepared


def _checked(
    samples: Iterable[Sample], refused: Counter[str], groups: list[str]
) -> Iterable[Sample]:
    """Those that can be right; counts the others, and notes the groups, on the way."""
    for sample in samples:
        try:
            check_sample(sample)
        except DataError as error:
            logger.warning("left out: %s", error)
            refused[str(error).rpartition(": ")[2]] += 1
            continue
        groups.append(sample.group)
        yield sample


def _names(names: list[str]) -> Names:
    return np.array(names, dtype=object)


def _save(prepared: Prepared, path: Path) -> None:
    """Keep what was prepared; a cache that cannot be written is no reason to stop."""
    columns = {name: column.contiguous() for name, column in prepared.graphs.columns.items()}
    text = json.dumps(prepared.groups.tolist()).encode()
    columns[GROUPS] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:  # a name of this process: others may prepare the same
            save_file(columns, partial, metadata={"refused": json.dumps(prepared.refused)})
    except (OSError, SafetensorError) as error:
        logger.warning(
            "%s cannot be kept (%s); it will be prepared again the next time. Make room, or name "
            "a cache folder that can be written",
            path,
            error,
        )


def _load(path: Path) -> Prepared | None:
    """What was kept; None if there is nothing, or it is damaged."""
    if not path.is_file():
        return None
    try:
        with safe_open(str(path), framework="pt") as file:
            refused = json.loads((file.metadata() or {}).get("refused", "{}"))
            columns: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in COLUMNS}
            groups = json.loads(file.get_tensor(GROUPS).numpy().tobytes())
    except (OSError, SafetensorError, ValueError) as error:
        logger.warning("%s is damaged (%s); preparing it again", path, error)
        return None
    return Prepared(graphs=PackedGraphs(columns), groups=_names(groups), refused=refused)
