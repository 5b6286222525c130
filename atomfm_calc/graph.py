"""`AtomicGraph`: the only graph type, always batched; and what can be done to one.

Cell vectors are rows, as in ASE. Edges are directed, from the neighbor (sender) to the center
(receiver), listed in both directions and sorted by center.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from atomfm_calc.errors import DataError


class AtomicGraph(NamedTuple):
    """S structures with N atoms and E directed edges in all."""

    atomic_numbers: Tensor
    """[N] int64"""
    positions: Tensor
    """[N, 3] Å"""
    cell: Tensor
    """[S, 3, 3] Å, rows are the lattice vectors; zeros if not periodic"""
    pbc: Tensor
    """[S, 3] bool"""
    edge_index: Tensor
    """[2, E] int64; row 0 the center, row 1 the neighbor; sorted by center"""
    edge_shift: Tensor
    """[E, 3] whole cells: r = x[neighbor] + shift @ cell - x[center]"""
    batch: Tensor
    """[N] int64, the structure of each atom"""
    n_atoms: Tensor
    """[S] int64"""
    charge: Tensor
    """[S] e"""
    multiplicity: Tensor
    """[S] 2S+1"""

    @property
    def n_structures(self) -> int:
        """Number of structures S."""
        return self.n_atoms.shape[0]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> AtomicGraph:
        """The same graph on another device; real-valued fields in `dtype` if given."""
        return AtomicGraph(
            *(
                field.to(device, dtype) if field.is_floating_point() else field.to(device)
                for field in self
            )
        )


def edge_vectors(graph: AtomicGraph) -> Tensor:
    """Vectors from center to neighbor [E, 3] in Å, periodic images included."""
    center, neighbor = graph.edge_index
    if graph.n_structures == 1:
        shift = graph.edge_shift @ graph.cell[0]
    else:
        cells = graph.cell.index_select(0, graph.batch.index_select(0, center))  # [E, 3, 3]
        shift = torch.einsum("ei,eij->ej", graph.edge_shift, cells)
    positions = graph.positions
    return positions.index_select(0, neighbor) - positions.index_select(0, center) + shift


def sum_to_structures(values: Tensor, graph: AtomicGraph) -> Tensor:
    """Sum of per-atom `values` [N, ...] over the atoms of each structure: [S, ...]."""
    total = values.new_zeros((graph.n_structures, *values.shape[1:]))
    return total.index_add(0, graph.batch, values)


def volumes(graph: AtomicGraph) -> Tensor:
    """Cell volume [S] in Å³; 0 where the cell is zero or flat."""
    first, second, third = graph.cell.unbind(dim=1)  # a determinant by factors waits for the GPU
    return (torch.linalg.cross(first, second) * third).sum(dim=1).abs()


def collate(graphs: Sequence[AtomicGraph]) -> AtomicGraph:
    """Join graphs into one; atoms, edges and structures keep their order.

    Raises:
        DataError: the list is empty.
    """
    if not graphs:
        raise DataError("no graphs to collate; give at least one")
    if len(graphs) == 1:
        return graphs[0]
    device = graphs[0].positions.device
    atoms = torch.tensor([0, *(len(graph.atomic_numbers) for graph in graphs)]).cumsum(0)
    structures = torch.tensor([0, *(graph.n_structures for graph in graphs)]).cumsum(0)
    edge_index = [
        graph.edge_index + offset for graph, offset in zip(graphs, atoms.tolist(), strict=False)
    ]
    batch = [
        graph.batch + offset for graph, offset in zip(graphs, structures.tolist(), strict=False)
    ]
    joined = {
        name: torch.cat([getattr(graph, name) for graph in graphs])
        for name in AtomicGraph._fields
        if name not in ("edge_index", "batch")
    }
    return AtomicGraph(
        **joined,
        edge_index=torch.cat(edge_index, dim=1).to(device),
        batch=torch.cat(batch).to(device),
    )


def split(graph: AtomicGraph) -> list[AtomicGraph]:
    """The single-structure graphs that `collate` would join into `graph`."""
    n_atoms = graph.n_atoms.tolist()
    structure_of_edge = graph.batch[graph.edge_index[0]]
    n_edges = torch.bincount(structure_of_edge, minlength=graph.n_structures).tolist()
    by_atom = [field.split(n_atoms) for field in (graph.atomic_numbers, graph.positions)]
    by_edge = [graph.edge_index.split(n_edges, dim=1), graph.edge_shift.split(n_edges)]
    singles, first_atom = [], 0
    for index, size in enumerate(n_atoms):
        one = slice(index, index + 1)
        singles.append(
            AtomicGraph(
                atomic_numbers=by_atom[0][index],
                positions=by_atom[1][index],
                cell=graph.cell[one],
                pbc=graph.pbc[one],
                edge_index=by_edge[0][index] - first_atom,
                edge_shift=by_edge[1][index],
                batch=torch.zeros_like(by_atom[0][index]),
                n_atoms=graph.n_atoms[one],
                charge=graph.charge[one],
                multiplicity=graph.multiplicity[one],
            )
        )
        first_atom += size
    return singles
