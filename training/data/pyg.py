"""`Batch` <-> objects of PyTorch Geometric, for whoever trains a model of that library on our data.

PyG shifts a field whose name contains "index" or "batch" when it joins structures, and leaves a
field out of the joined object if the first structure lacks it. So the fields are fixed, none has
such a name but `edge_index`, and all are always there: an absent label is NaN.

PyG sends messages from `edge_index[0]` to `edge_index[1]`, so row 0 is the neighbor and row 1 the
center, the other way round than in `AtomicGraph`. The vector of an edge from center to neighbor is
`pos[edge_index[0]] + edge_shift @ cell - pos[edge_index[1]]`.
"""

from __future__ import annotations

from typing import cast

import torch
import torch_geometric.data
from torch import Tensor

from atomfm_calc.errors import DataError, listing
from atomfm_calc.graph import AtomicGraph, split
from atomfm_calc.sample import Sample, check_sample
from training.data.loader import Batch
from training.data.packed import pack

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "z": ("atom", ()),
    "pos": ("atom", (3,)),
    "edge_shift": ("edge", (3,)),
    "cell": ("structure", (3, 3)),
    "pbc": ("structure", (3,)),
    "charge": ("structure", ()),
    "multiplicity": ("structure", ()),
    "energy": ("structure", ()),
    "forces": ("atom", (3,)),
    "stress": ("structure", (3, 3)),
    "head": ("structure", ()),
}
"""Tensors beside `edge_index` [2, E] and `source` (text): what a row belongs to, and its shape.

`z` are atomic numbers, `pos` and `cell` Å, the rest as in `AtomicGraph` and `Batch`."""
JOINED_FIELDS = ("batch", "ptr")
"""What PyG adds when it joins structures."""


class LabeledData(torch_geometric.data.Data):  # type: ignore[misc]
    """One structure with exactly the fields of `FIELDS`, `edge_index` and `source`."""


def to_pyg(batch: Batch) -> list[LabeledData]:
    """The structures of a batch one by one, as `torch_geometric.loader.DataLoader` takes them."""
    graphs = split(batch.graph)
    forces = batch.targets["forces"].split(batch.graph.n_atoms.tolist())
    return [
        LabeledData(
            z=graph.atomic_numbers,
            pos=graph.positions,
            edge_index=graph.edge_index.flip(0),
            edge_shift=graph.edge_shift,
            cell=graph.cell,
            pbc=graph.pbc,
            charge=graph.charge,
            multiplicity=graph.multiplicity,
            energy=batch.targets["energy"][number : number + 1],
            forces=forces[number],
            stress=batch.targets["stress"][number : number + 1],
            head=batch.head[number : number + 1],
            source=batch.sources[number],
        )
        for number, graph in enumerate(graphs)
    ]


def sample_to_pyg(sample: Sample, cutoff: float, head: int = 0) -> LabeledData:
    """One sample with the edges within `cutoff` Å, in the precision that training uses.

    Raises:
        DataError: the sample cannot be right; names its source.
    """
    check_sample(sample)
    graph, targets = pack([sample], cutoff).join()
    return to_pyg(Batch(graph, targets, torch.tensor([head]), (sample.source,)))[0]


def from_pyg(data: torch_geometric.data.Data) -> Batch:
    """The batch of one structure or of structures that PyG has joined; edges sorted by center.

    Args:
        data: as from `to_pyg`, or made elsewhere with the same fields.

    Raises:
        DataError: a field is missing, unknown or of another shape; names it.
    """
    joined = isinstance(data, torch_geometric.data.Batch)
    _check_names(set(data.keys()), joined)
    n_atoms = data.ptr.diff() if joined else torch.tensor([len(data.z)])
    edge_index = cast(Tensor, data.edge_index)
    counts = {"atom": int(n_atoms.sum()), "edge": edge_index.shape[-1], "structure": len(n_atoms)}
    shapes = {name: (counts[level], *tail) for name, (level, tail) in FIELDS.items()}
    for name, shape in {"edge_index": (2, counts["edge"]), **shapes}.items():
        found = tuple(data[name].shape)
        if found != shape:
            raise DataError(f"field {name!r} has shape {found}, not {shape}; see training/data/pyg")
    order = torch.argsort(edge_index[1], stable=True)
    graph = AtomicGraph(
        atomic_numbers=data.z,
        positions=data.pos,
        cell=data.cell,
        pbc=data.pbc,
        edge_index=edge_index.flip(0)[:, order],
        edge_shift=data.edge_shift[order],
        batch=torch.repeat_interleave(n_atoms),
        n_atoms=n_atoms,
        charge=data.charge,
        multiplicity=data.multiplicity,
    )
    targets = {name: cast(Tensor, data[name]) for name in ("energy", "forces", "stress")}
    sources = tuple(data.source) if joined else (data.source,)
    return Batch(graph=graph, targets=targets, head=data.head, sources=sources)


def _check_names(found: set[str], joined: bool) -> None:
    wanted = {*FIELDS, "edge_index", "source", *(JOINED_FIELDS if joined else ())}
    problems = [
        f"{what} {listing(sorted(names))}"
        for what, names in (("lacks", wanted - found), ("has the unknown", found - wanted))
        if names
    ]
    if problems:
        raise DataError(
            f"the object of PyG {' and '.join(problems)}; give exactly the fields "
            f"{listing(sorted(wanted))}"
        )
