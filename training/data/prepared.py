"""Prepared graphs on disk: one safetensors file per data file, found by content and cutoff."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from atomfm_calc.errors import DataError
from atomfm_calc.sample import Sample, check_sample
from training.data.packed import COLUMNS, PackedGraphs, pack

logger = logging.getLogger(__name__)

PREPARED_FORMAT = 1
"""Raised whenever the content of the cache changes its meaning."""
Reader = Callable[[Path], Iterable[Sample]]


class DataFile(NamedTuple):
    """A data file and the content it is meant to have."""

    path: Path
    """Where it is, or was: the cache needs only the checksum."""
    sha256: str
    """Hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The graphs of one data file."""

    graphs: PackedGraphs
    """Those that passed `check_sample`."""
    refused: dict[str, int]
    """Number of refused samples by reason."""


def data_file(path: Path) -> DataFile:
    """The file with the content it has now."""
    return DataFile(path, hashlib.sha256(path.read_bytes()).hexdigest())


def prepare_file(file: DataFile, read: Reader, cutoff: float, cache: Path | None) -> Prepared:
    """The graphs of a data file, from the cache if they were made before.

    Args:
        file: the data file; if the cache has its content, it need not exist any more.
        read: file -> samples; used only if the cache does not have the file.
        cutoff: Å.
        cache: folder of prepared files, made if absent; None: no cache.

    Raises:
        DataError: the file is needed, but gone or changed.
    """
    key = f"{file.sha256[:24]}-{cutoff:.3f}-{PREPARED_FORMAT}"
    cached = None if cache is None else cache / f"{key}.safetensors"
    if cached is not None and cached.is_file():
        return _load(cached)
    if not file.path.is_file() or data_file(file.path) != file:
        raise DataError(
            f"{file.path} is gone or was changed since it was recorded (SHA-256 {file.sha256}), "
            "and the cache does not have it; bring the file back"
        )
    logger.info("building the graphs of %s", file.path.name)
    refused: Counter[str] = Counter()
    graphs = pack(_checked(read(file.path), refused), cutoff)
    prepared = Prepared(graphs=graphs, refused=dict(refused))
    if cached is not None:
        _save(prepared, cached)
    return prepared


def _checked(samples: Iterable[Sample], refused: Counter[str]) -> Iterable[Sample]:
    for sample in samples:
        try:
            check_sample(sample)
        except DataError as error:
            logger.warning("left out: %s", error)
            refused[str(error).rpartition(": ")[2]] += 1
            continue
        yield sample


def _save(prepared: Prepared, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    columns = {name: column.contiguous() for name, column in prepared.graphs.columns.items()}
    save_file(columns, partial, metadata={"refused": json.dumps(prepared.refused)})
    partial.replace(path)


def _load(path: Path) -> Prepared:
    with safe_open(str(path), framework="pt") as file:
        refused = json.loads((file.metadata() or {}).get("refused", "{}"))
        columns: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in COLUMNS}
    return Prepared(graphs=PackedGraphs(columns), refused=refused)
