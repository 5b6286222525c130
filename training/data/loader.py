"""`Batch`, and the loader that makes batches out of packed graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.graph import AtomicGraph
from training.config import BatchLimits
from training.data.batching import MixedSampler, fixed_batches
from training.data.packed import PackedGraphs


class Batch(NamedTuple):
    """S labeled structures of several heads."""

    graph: AtomicGraph
    """Inputs."""
    targets: dict[str, Tensor]
    """energy [S] eV float64, forces [N, 3] eV/Å, stress [S, 3, 3] eV/Å³; NaN = no label."""
    head: Tensor
    """[S] int64, position in the model's head names."""
    sources: tuple[str, ...]
    """[S] where each structure comes from: "file#frame"."""


class Assembler:
    """Indices -> `Batch`."""

    def __init__(self, graphs: PackedGraphs, head: NDArray[np.int64], files: Sequence[str]) -> None:
        """`head` [all structures] is the head index of each; `files` are named in messages."""
        self.graphs = graphs
        self.head = torch.from_numpy(np.asarray(head, dtype=np.int64))
        self.files = tuple(files)
        self._origin = np.stack(
            [graphs.columns["file"].numpy(), graphs.columns["frame"].numpy()], axis=1
        )

    def batch(self, index: NDArray[np.int64]) -> Batch:
        """The batch of the structures `index` [S]."""
        graph, targets = self.graphs.take(index)
        sources = tuple(f"{self.files[file]}#{frame}" for file, frame in self._origin[index])
        head = self.head.index_select(0, torch.from_numpy(index))
        return Batch(graph=graph, targets=targets, head=head, sources=sources)


class TrainingLoader:
    """Endless mixed batches, with a position that can be saved."""

    def __init__(self, assembler: Assembler, sampler: MixedSampler) -> None:
        self.assembler = assembler
        self.sampler = sampler

    def next_batch(self) -> Batch:
        """The next batch."""
        return self.assembler.batch(self.sampler.next_batch())

    @property
    def samples_seen(self) -> Mapping[str, int]:
        """Structures handed out per head since the beginning."""
        return self.sampler.samples_seen

    def state_dict(self) -> dict[str, Any]:
        """The position, as JSON can hold it."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved position."""
        self.sampler.load_state_dict(state)


class FixedLoader:
    """The same batches in every pass, for validation and tests."""

    def __init__(self, assembler: Assembler, index: NDArray[np.int64], limits: BatchLimits) -> None:
        graphs = assembler.graphs
        self.assembler = assembler
        self.batches = fixed_batches(index, (graphs.n_atoms, graphs.n_edges), limits)

    def __iter__(self) -> Iterator[Batch]:
        return (self.assembler.batch(index) for index in self.batches)
