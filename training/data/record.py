"""Structures as byte records: what one rank gives another.

A record is little-endian, without padding, and names its own length:

| part | bytes | content |
|---|---|---|
| header | 119 | format number, bytes, edges that follow, the `STRUCTURE_COLUMNS` in order |
| atoms | 25 N | per atom the `ATOM_COLUMNS` in order |
| edges | 11 E | per edge the `EDGE_COLUMNS` in order; none where the header counts -1 |

So the length follows from the numbers of atoms and edges alone. Records stand one behind the other,
each at the beginning of a slot that may be longer than the record.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from atomfm_calc.neighbors import find_edges
from training.data.packed import (
    ATOM_COLUMNS,
    EDGE_COLUMNS,
    STRUCTURE_COLUMNS,
    PackedGraphs,
    concatenate,
)

RECORD_FORMAT = 0x31524641
"""First four bytes of a record ("AFR1"); another number whenever the layout changes."""
TAILS: dict[str, tuple[int, ...]] = {
    "cell": (3, 3),
    "stress": (3, 3),
    **dict.fromkeys(("pbc", "positions", "forces", "edge_shift"), (3,)),
}
"""Shape of one row of a column; a single number where absent."""
_LITTLE_ENDIAN = {
    torch.bool: "?",
    torch.int8: "i1",
    torch.uint8: "u1",
    torch.int32: "<i4",
    torch.float32: "<f4",
    torch.float64: "<f8",
}


def _row_type(columns: Mapping[str, torch.dtype], *before: tuple[str, str]) -> np.dtype[np.void]:
    own = [(name, _LITTLE_ENDIAN[kind], TAILS.get(name, ())) for name, kind in columns.items()]
    return np.dtype([*before, *own])


HEADER = _row_type(
    STRUCTURE_COLUMNS, ("format", "<u4"), ("n_bytes", "<u4"), ("n_stored_edges", "<i4")
)
ATOM = _row_type(ATOM_COLUMNS)
EDGE = _row_type(EDGE_COLUMNS)


def record_sizes(
    n_atoms: NDArray[np.int64], n_edges: NDArray[np.int64], with_edges: bool
) -> NDArray[np.int64]:
    """Bytes of the record of each structure [S]."""
    stored = n_edges if with_edges else 0
    return HEADER.itemsize + ATOM.itemsize * n_atoms + EDGE.itemsize * stored


def to_records(
    graphs: PackedGraphs, with_edges: bool, slots: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The records of all structures, one behind the other.

    Args:
        graphs: S structures.
        with_edges: keep the edges; they are most of a record, but need not be searched again.
        slots: bytes for each record [S]; a structure whose edges do not fit is kept without. None:
            as many as it needs.

    Returns:
        The bytes, and where each slot begins [S + 1], the end of the last included.

    Raises:
        DataError: a slot is too small for the record without edges.
    """
    wanted = record_sizes(graphs.n_atoms, graphs.n_edges, with_edges)
    slots = wanted if slots is None else slots
    kept = (wanted <= slots) & with_edges
    stored = np.where(kept, graphs.n_edges, 0)
    sizes = record_sizes(graphs.n_atoms, stored, True)
    _refuse(sizes > slots, slots, "a slot for its atoms")
    headers = np.empty(len(graphs), HEADER)
    headers["format"], headers["n_bytes"] = RECORD_FORMAT, sizes
    headers["n_stored_edges"] = np.where(kept, stored, -1)
    _fill(headers, graphs, STRUCTURE_COLUMNS)
    atoms = np.empty(int(graphs.n_atoms.sum()), ATOM)
    _fill(atoms, graphs, ATOM_COLUMNS)
    edges = np.empty(int(graphs.n_edges.sum()) if with_edges else 0, EDGE)
    if with_edges:
        _fill(edges, graphs, EDGE_COLUMNS)
    offsets = _starts(slots)
    buffer = np.zeros(int(offsets[-1]), np.uint8)
    _place(headers, offsets[:-1], np.arange(len(graphs)), np.ones_like(stored), buffer)
    atoms_start = offsets[:-1] + HEADER.itemsize
    _place(atoms, atoms_start, graphs.first_atom[:-1], graphs.n_atoms, buffer)
    edges_start = atoms_start + ATOM.itemsize * graphs.n_atoms
    _place(edges, edges_start, graphs.first_edge[:-1], stored, buffer)
    return buffer, offsets


def from_records(
    buffer: NDArray[np.uint8], offsets: NDArray[np.int64], cutoff: float | None = None
) -> PackedGraphs:
    """The structures of records that stand one behind the other; a copy.

    Args:
        buffer: the bytes.
        offsets: where each slot begins [S + 1], the end of the last included.
        cutoff: Å; structures whose record has no edges get those within it. None: they get none.

    Raises:
        DataError: a record is cut off, or its bytes are no record of this format.
    """
    starts, sizes = offsets[:-1], np.diff(offsets)
    _refuse(sizes < HEADER.itemsize, sizes, f"{HEADER.itemsize} or more, the bytes of a header")
    if len(offsets) and offsets[-1] > len(buffer):
        raise DataError(
            f"the records are cut off: {len(buffer)} bytes came of {int(offsets[-1])}; "
            "read them again from their source"
        )
    headers = _rows(buffer, starts, np.ones_like(sizes), HEADER)
    found = headers["format"].astype(np.int64)
    _refuse(found != RECORD_FORMAT, found, f"{RECORD_FORMAT}, the number of this format")
    n_atoms = headers["n_atoms"].astype(np.int64)
    bare = headers["n_stored_edges"] < 0
    stored = np.where(bare, 0, headers["n_stored_edges"]).astype(np.int64)
    wanted = headers["n_bytes"].astype(np.int64)
    _refuse(sizes < wanted, sizes, "the length that its header states")
    _refuse(wanted != record_sizes(n_atoms, stored, True), wanted, "what its atoms and edges need")
    atoms_start = starts + HEADER.itemsize
    atoms = _rows(buffer, atoms_start, n_atoms, ATOM)
    edges = _rows(buffer, atoms_start + n_atoms * ATOM.itemsize, stored, EDGE)
    columns = (
        _columns(headers, STRUCTURE_COLUMNS)
        | _columns(atoms, ATOM_COLUMNS)
        | _columns(edges, EDGE_COLUMNS)
    )
    columns["n_edges"] = torch.from_numpy(stored.astype(np.int32))
    graphs = PackedGraphs(columns)
    return graphs if cutoff is None else _complete(graphs, np.asarray(bare), cutoff)


def build_edges(graphs: PackedGraphs, cutoff: float) -> PackedGraphs:
    """The same structures with all edges within `cutoff` Å, whatever edges they had."""
    positions = graphs.columns["positions"].numpy().astype(np.float64)
    cells = graphs.columns["cell"].numpy().astype(np.float64)
    pbc = graphs.columns["pbc"].numpy()
    found = [
        find_edges(positions[first : first + count], cells[index], pbc[index], cutoff)
        for index, (first, count) in enumerate(
            zip(graphs.first_atom[:-1].tolist(), graphs.n_atoms.tolist(), strict=True)
        )
    ]
    no_edges = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    edge_index = np.concatenate([no_edges[0], *(edges.edge_index for edges in found)], axis=1)
    shift = np.concatenate([no_edges[1], *(edges.edge_shift for edges in found)])
    counts = np.array([edges.edge_index.shape[1] for edges in found], dtype=np.int32)
    made = {
        "n_edges": counts,
        "center": edge_index[0].astype(np.int32),
        "neighbor": edge_index[1].astype(np.int32),
        "edge_shift": shift.astype(np.int8),
    }
    return PackedGraphs(
        {**graphs.columns, **{name: torch.from_numpy(column) for name, column in made.items()}}
    )


def _complete(graphs: PackedGraphs, bare: NDArray[np.bool_], cutoff: float) -> PackedGraphs:
    """`graphs` with edges for the structures that are `bare` [S]."""
    if bare.all() or not bare.any():
        return build_edges(graphs, cutoff) if bare.any() else graphs
    groups = [np.flatnonzero(~bare), np.flatnonzero(bare)]
    whole, built = graphs.select(groups[0]), build_edges(graphs.select(groups[1]), cutoff)
    return concatenate([whole, built]).select(np.argsort(np.concatenate(groups)))


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _fill(rows: NDArray[np.void], graphs: PackedGraphs, columns: Mapping[str, torch.dtype]) -> None:
    for name in columns:
        rows[name] = graphs.columns[name].numpy()


def _place(
    rows: NDArray[np.void],
    places: NDArray[np.int64],
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
    buffer: NDArray[np.uint8],
) -> None:
    """Copy `counts` of `rows` from `first` on to each of `places`."""
    content, size = rows.view(np.uint8), rows.itemsize
    ranges = (places, first * size, counts * size)
    for place, start, n_bytes in zip(*(part.tolist() for part in ranges), strict=True):
        buffer[place : place + n_bytes] = content[start : start + n_bytes]


def _columns(rows: NDArray[np.void], columns: Mapping[str, torch.dtype]) -> dict[str, torch.Tensor]:
    native = {name: rows.dtype[name].base.newbyteorder("=") for name in columns}
    return {name: torch.from_numpy(rows[name].astype(native[name])) for name in columns}


def _rows(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    counts: NDArray[np.int64],
    kind: np.dtype[np.void],
) -> NDArray[np.void]:
    """`counts` rows of `kind` from each of `starts` on, joined."""
    ends = (starts + counts * kind.itemsize).tolist()
    parts = [buffer[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]
    return np.concatenate([buffer[:0], *parts]).view(kind)


def _refuse(bad: NDArray[np.bool_], values: NDArray[np.int64], wanted: str) -> None:
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"record {first} of {len(bad)} is cut off or no record of this version: found "
            f"{int(values[first])}, expected {wanted}. Read it again from its source."
        )
