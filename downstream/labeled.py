"""Samples of a recipe as batches: graphs from `training.data`, and the labels of properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atomfm_calc.sample import Sample
from training.data.loader import Assembler, Batch
from training.data.packed import PackedGraphs, pack
from training.data.source import Index, SampleSource

NO_HEAD = -1
"""Head index of structures that have properties and no energy."""
ENERGY_LABELS = ("energy", "forces", "stress")


class PropertyAssembler(Assembler):
    """An `Assembler` whose batches also have labels by the names of property heads."""

    def __init__(
        self,
        source: SampleSource,
        head: NDArray[np.int64],
        labels: Mapping[str, Sequence[Tensor]],
    ) -> None:
        """Add labels to structures.

        Args:
            source: graphs.
            head: [all structures] index of the energy head, or `NO_HEAD`.
            labels: property -> what is learned of each structure, [] or [N]; NaN = no label.
        """
        super().__init__(source, head)
        self.labels = labels

    def decode(self, index: Index, fetched: Any) -> Batch:
        """As `Assembler.decode`."""
        batch = super().decode(index, fetched)
        places = index.tolist()
        for name, values in self.labels.items():
            if places and max(places) < len(values):  # structures behind have no properties
                batch.targets[name] = torch.cat([values[place].reshape(-1) for place in places])
        return batch


def pack_samples(samples: Sequence[Sample], cutoff: float) -> PackedGraphs:
    """Graphs with the labels of energy heads; the column "frame" is the place in `samples`."""
    own = [
        replace(
            sample,
            source=f"#{place}",
            targets={n: v for n, v in sample.targets.items() if n in ENERGY_LABELS},
        )
        for place, sample in enumerate(samples)
    ]
    return pack(own, cutoff)


def label_tensors(samples: Sequence[Sample], name: str, *, per_atom: bool) -> list[Tensor]:
    """Labels of a property in its unit, [] or [N] per structure, float64; NaN = no label."""
    result = []
    for sample in samples:
        shape = (sample.n_atoms,) if per_atom else ()
        value = sample.targets.get(name, np.full(shape, np.nan))
        result.append(torch.as_tensor(np.asarray(value, dtype=np.float64)))
    return result
