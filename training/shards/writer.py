"""Packed graphs -> one ADIOS2 file (a folder that ends in .bp).

A shard is written by one process, so neither an MPI build of adios2 nor a communicator is needed,
and both builds write the same bytes. ADIOS2 has no type for true and false: `pbc` is uint8.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import adios2.bindings as adios
import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.files import sync
from training.data.packed import EDGE_COLUMNS, PackedGraphs
from training.shards.layout import FileRecord, file_record, plain

SPARE_BYTES = 1 << 20
"""Room for ADIOS2's own data about the columns."""
TIMINGS = "profiling.json"
"""ADIOS2 writes how long it took, which no reader needs and which is different every time."""

Columns = dict[str, NDArray[np.generic]]


def write_shard(
    path: Path, graphs: PackedGraphs, with_edges: bool, attributes: Mapping[str, str]
) -> dict[str, FileRecord]:
    """Write one shard; it is complete under `path` or not there.

    Args:
        path: the folder to make, ending in .bp; one that is there is replaced.
        graphs: at least one structure, in the order to be kept.
        with_edges: store the edges as well; `n_edges` is stored in any case.
        attributes: words about the shard, kept in it.

    Returns:
        File name -> size and checksum.

    Raises:
        DataError: the disk is full or the folder cannot be written to; names the shard.
    """
    partial = path.with_name(f"{path.name}.partial")
    columns = _columns(graphs, with_edges)
    try:
        for old in (partial, path):
            if old.exists():
                shutil.rmtree(old)
        _refuse_full_disk(path, sum(column.nbytes for column in columns.values()))
        _write(partial, columns, attributes)
        (partial / TIMINGS).unlink(missing_ok=True)
        files = {file.name: file_record(file) for file in sorted(partial.iterdir())}
        for name in files:
            sync(partial / name)
        partial.replace(path)
        sync(path.parent)
    except (OSError, RuntimeError) as error:  # adios2 raises RuntimeError
        shutil.rmtree(partial, ignore_errors=True)
        raise DataError(
            f"shard {path} cannot be written: {plain(error)}; make room or choose another "
            "folder, then start the same convert again: finished shards are kept"
        ) from error
    return files


def _columns(graphs: PackedGraphs, with_edges: bool) -> Columns:
    columns: Columns = {}
    for name, column in graphs.columns.items():
        if with_edges or name not in EDGE_COLUMNS:
            values = np.ascontiguousarray(column.numpy())
            columns[name] = values.view(np.uint8) if values.dtype == np.bool_ else values
    return columns


def _refuse_full_disk(path: Path, n_bytes: int) -> None:
    """Before ADIOS2 finds out: it ends the process when a file cannot be closed (2.12)."""
    free = shutil.disk_usage(path.parent).free
    if free < n_bytes + SPARE_BYTES:
        raise OSError(f"it needs {n_bytes + SPARE_BYTES} bytes, the disk has {free} left")


def _write(folder: Path, columns: Columns, attributes: Mapping[str, str]) -> None:
    # names of an IO object are unique in an ADIOS object, so each shard has its own
    library = adios.ADIOS()
    io = library.DeclareIO("shard")
    io.SetEngine("BP5")
    for name, words in attributes.items():
        io.DefineAttribute(name, words)
    engine = io.Open(str(folder), adios.Mode.Write)
    try:
        engine.BeginStep()
        for name, column in columns.items():
            if column.size:  # ADIOS2 leaves out variables without values
                shape = list(column.shape)
                variable = io.DefineVariable(name, column, shape, [0] * len(shape), shape, True)
                engine.Put(variable, column, adios.Mode.Deferred)
        engine.PerformPuts()
        engine.EndStep()
    except RuntimeError:
        for file in folder.iterdir():  # room for what closing writes
            os.truncate(file, 0)
        raise
    finally:
        engine.Close()
