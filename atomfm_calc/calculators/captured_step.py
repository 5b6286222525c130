"""Dynamics of one structure on a GPU: the operations of a step, recorded once and replayed.

For some hundred atoms a GPU computes faster than Python can tell it what to do. A CUDA graph keeps
all operations of energy and derivatives, on arrays that stay where they are. The number of edges
changes from step to step, so the arrays have room for more, and what is left of it is filled with
edges that are too long to contribute (`pad_edges`). Each set of results that is asked for has its
recording, which is made anew where the number of atoms changes or the room is not enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from atomfm_calc.errors import DataError
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.derivatives import Prediction, check_want, derive
from atomfm_calc.models.foundation import EnergyFunction

ROOM = 1.15
"""Edges that there is room for, over those of the structure that is recorded."""
WARM_UPS = 3
"""Evaluations before recording, in which kernels are compiled and tables made."""


def pad_edges(graph: AtomicGraph, n_edges: int, cutoff: float) -> AtomicGraph:
    """The same structure with `n_edges` edges, of which the added ones contribute exactly nothing.

    They lead from the last atom to an image of itself, twice the cutoff away or farther. Along a
    direction that is not periodic, where no cell exists, the graph gets a lattice vector: no other
    edge crosses it, and there is no stress.

    Args:
        graph: one structure, one atom at least; is not changed.
        n_edges: at least those of the graph.
        cutoff: Å.

    Raises:
        DataError: several structures, no atom, or more edges than `n_edges`.
    """
    present, n_atoms = graph.edge_index.shape[1], len(graph.atomic_numbers)
    if graph.n_structures != 1 or n_atoms == 0 or present > n_edges:
        raise DataError(
            f"cannot pad {graph.n_structures} structures with {n_atoms} atoms and {present} edges "
            f"to {n_edges} edges; give one structure, and room for its edges"
        )
    cell, absent = graph.cell.clone(), (~graph.pbc[0]).nonzero()[:, 0].tolist()
    far = cell.new_zeros(3)
    if absent:
        cell[0, absent[0]] = cell.new_tensor([2.0 * cutoff, 0.0, 0.0])
        far[absent[0]] = 1.0
    else:
        far[0] = math.ceil(2.0 * cutoff / float(cell[0, 0].norm()))
    n_added = n_edges - present
    added = graph.edge_index.new_full((2, n_added), n_atoms - 1)
    return graph._replace(
        cell=cell,
        edge_index=torch.cat([graph.edge_index, added], dim=1),
        edge_shift=torch.cat([graph.edge_shift, far.expand(n_added, 3)]),
    )


class Recording(NamedTuple):
    """A step that can be replayed."""

    inputs: AtomicGraph
    """Where the step reads its structure"""
    program: torch.cuda.CUDAGraph
    results: Prediction
    """Where the step leaves what it computes"""

    def fits(self, graph: AtomicGraph) -> bool:
        """Whether a structure has as many atoms as the recorded one, and room for its edges."""
        return (
            self.inputs.positions.shape == graph.positions.shape
            and self.inputs.positions.dtype == graph.positions.dtype
            and self.inputs.edge_index.shape[1] >= graph.edge_index.shape[1]
        )


class CapturedStep:
    """`derivatives.predict` for one structure after another of the same atoms, on a CUDA device."""

    def __init__(self, energy_of: EnergyFunction, cutoff: float, device: torch.device) -> None:
        """`energy_of` copies nothing from main memory; `cutoff` in Å; `device` is a CUDA device."""
        self.energy_of, self.cutoff, self.device = energy_of, cutoff, device
        self.n_recordings = 0
        self._recordings: dict[frozenset[str], Recording] = {}

    def __call__(self, graph: AtomicGraph, want: Sequence[str]) -> Prediction:
        """Results, good until the next call.

        Args:
            graph: one structure, in main memory.
            want: as in `predict`.

        Raises:
            PropertyError, UnknownNameError: as in `predict`.
        """
        check_want(graph, want)
        key = frozenset(want)
        known = self._recordings.get(key)
        if known is None or not known.fits(graph):
            known = None
            self._recordings.pop(key, None)  # its memory is free for the next one
            known = self._recordings[key] = self._record(graph, want)
        padded = pad_edges(graph, known.inputs.edge_index.shape[1], self.cutoff)
        for place, value in zip(known.inputs, padded, strict=True):
            place.copy_(value)
        known.program.replay()
        return known.results

    def _record(self, graph: AtomicGraph, want: Sequence[str]) -> Recording:
        room = math.ceil(ROOM * graph.edge_index.shape[1]) + 1
        inputs = pad_edges(graph, room, self.cutoff).to(self.device)
        with torch.cuda.device(self.device):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    derive(self.energy_of, inputs, want)
            torch.cuda.current_stream().wait_stream(aside)
            program = torch.cuda.CUDAGraph()
            with torch.cuda.graph(program):
                results = derive(self.energy_of, inputs, want)
        self.n_recordings += 1
        return Recording(inputs, program, results)
