"""Many labeled graphs in one set of flat tensors, and the batches cut out of it.

A structure is a range of rows; cutting a batch is a handful of gathers however many structures it
holds. Distances are float32, energies float64 (all-electron totals need it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.errors import DataError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.neighbors import find_edges
from atomfm_calc.sample import Sample

STRUCTURE_COLUMNS: dict[str, torch.dtype] = {
    "n_atoms": torch.int32,
    "n_edges": torch.int32,
    "cell": torch.float32,
    "pbc": torch.bool,
    "charge": torch.float32,
    "multiplicity": torch.float32,
    "energy": torch.float64,
    "stress": torch.float32,
    "file": torch.int32,
    "frame": torch.int32,
}
ATOM_COLUMNS: dict[str, torch.dtype] = {
    "atomic_numbers": torch.uint8,
    "positions": torch.float32,
    "forces": torch.float32,
}
EDGE_COLUMNS: dict[str, torch.dtype] = {
    "center": torch.int32,
    "neighbor": torch.int32,
    "edge_shift": torch.int8,
}
COLUMNS = {**STRUCTURE_COLUMNS, **ATOM_COLUMNS, **EDGE_COLUMNS}
Targets = dict[str, Tensor]
"""energy [S] eV, forces [N, 3] eV/Å, stress [S, 3, 3] eV/Å³; NaN = no label."""


class PackedGraphs:
    """Labeled graphs, read-only."""

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
        """`columns` by the names of `COLUMNS`: rows are structures, atoms or edges."""
        self.columns = dict(columns)
        self.n_atoms = self.columns["n_atoms"].numpy().astype(np.int64)
        self.n_edges = self.columns["n_edges"].numpy().astype(np.int64)
        self.first_atom = np.concatenate([[0], np.cumsum(self.n_atoms)])
        self.first_edge = np.concatenate([[0], np.cumsum(self.n_edges)])

    def __len__(self) -> int:
        return len(self.n_atoms)

    def numbers_of(self, index: int) -> NDArray[np.int64]:
        """Atomic numbers of one structure."""
        rows = slice(self.first_atom[index], self.first_atom[index + 1])
        return self.columns["atomic_numbers"][rows].numpy().astype(np.int64)

    def take(self, index: NDArray[np.int64]) -> tuple[AtomicGraph, Targets]:
        """The graphs `index` [S] joined into one, in that order, and their labels."""
        return self.select(index).join()

    def join(self) -> tuple[AtomicGraph, Targets]:
        """All graphs joined into one, in order, and their labels."""
        columns, n_atoms = self.columns, torch.from_numpy(self.n_atoms)
        offset = torch.from_numpy(np.repeat(self.first_atom[:-1], self.n_edges))
        graph = AtomicGraph(
            atomic_numbers=columns["atomic_numbers"].long(),
            positions=columns["positions"],
            cell=columns["cell"],
            pbc=columns["pbc"],
            edge_index=torch.stack([columns["center"] + offset, columns["neighbor"] + offset]),
            edge_shift=columns["edge_shift"].float(),
            batch=torch.from_numpy(np.repeat(np.arange(len(self)), self.n_atoms)),
            n_atoms=n_atoms,
            charge=columns["charge"],
            multiplicity=columns["multiplicity"],
        )
        return graph, {name: columns[name] for name in ("energy", "forces", "stress")}

    def select(self, index: NDArray[np.int64]) -> PackedGraphs:
        """The structures `index` [S] as an own set."""
        rows = {
            "structure": torch.from_numpy(np.asarray(index, dtype=np.int64)),
            "atom": _ranges(self.first_atom[index], self.n_atoms[index]),
            "edge": _ranges(self.first_edge[index], self.n_edges[index]),
        }
        return PackedGraphs(
            {name: self.columns[name].index_select(0, rows[_level(name)]) for name in COLUMNS}
        )

    def largest_force(self) -> NDArray[np.float64]:
        """Largest |force| of each structure [S], eV/Å; 0 without labels."""
        length = torch.linalg.vector_norm(self.columns["forces"], dim=1).nan_to_num(0.0).numpy()
        largest = np.zeros(len(self))
        np.maximum.at(largest, np.repeat(np.arange(len(self)), self.n_atoms), length)
        return largest


def pack(samples: Iterable[Sample], cutoff: float, file: int = 0) -> PackedGraphs:
    """Build the graphs of samples.

    Args:
        samples: checked ones; stress of structures that are not periodic in three directions is
            left out. The number behind the last "#" of `source` becomes `frame`.
        cutoff: Å.
        file: kept with every structure, to name where it comes from.
    """
    rows: dict[str, list[NDArray[np.generic]]] = {name: [] for name in COLUMNS}
    for sample in samples:
        for name, value in _row(sample, cutoff, file).items():
            rows[name].append(value)
    empty = {"cell": (0, 3, 3), "stress": (0, 3, 3), "pbc": (0, 3)}
    empty |= dict.fromkeys(("positions", "forces", "edge_shift"), (0, 3))
    return PackedGraphs(
        {
            name: torch.from_numpy(
                np.concatenate(rows[name]) if rows[name] else np.zeros(empty.get(name, (0,)))
            ).to(kind)
            for name, kind in COLUMNS.items()
        }
    )


def concatenate(parts: Sequence[PackedGraphs]) -> PackedGraphs:
    """All structures of `parts`, in order; DataError if there are no parts."""
    if not parts:
        raise DataError("no packed graphs to join; give at least one")
    return PackedGraphs(
        {name: torch.cat([part.columns[name] for part in parts]) for name in COLUMNS}
    )


def _row(sample: Sample, cutoff: float, file: int) -> dict[str, NDArray[np.generic]]:
    periodic = np.asarray(sample.pbc, dtype=bool)
    edges = find_edges(sample.positions, sample.cell, periodic, cutoff)
    targets = dict(sample.targets)
    if not periodic.all():
        targets.pop("stress", None)
    frame = sample.source.rpartition("#")[2]
    return {
        "n_atoms": np.array([sample.n_atoms]),
        "n_edges": np.array([edges.edge_index.shape[1]]),
        "cell": np.where(periodic[:, None], sample.cell, 0.0)[None],
        "pbc": periodic[None],
        "charge": np.array([float(sample.charge)]),
        "multiplicity": np.array([float(sample.multiplicity)]),
        "energy": np.asarray(targets.get("energy", np.nan), dtype=float).reshape(1),
        "stress": np.asarray(targets.get("stress", np.full((3, 3), np.nan)))[None],
        "file": np.array([file]),
        "frame": np.array([int(frame) if frame.isdigit() else -1]),
        "atomic_numbers": sample.atomic_numbers,
        "positions": sample.positions,
        "forces": np.asarray(targets.get("forces", np.full((sample.n_atoms, 3), np.nan))),
        "center": edges.edge_index[0],
        "neighbor": edges.edge_index[1],
        "edge_shift": edges.edge_shift,
    }


def _level(name: str) -> str:
    if name in STRUCTURE_COLUMNS:
        return "structure"
    return "atom" if name in ATOM_COLUMNS else "edge"


def _ranges(first: NDArray[np.int64], length: NDArray[np.int64]) -> Tensor:
    """first[0], first[0] + 1, ... (length[0] of them), first[1], ..."""
    start = np.repeat(first - (np.cumsum(length) - length), length)
    return torch.from_numpy(start + np.arange(len(start)))
