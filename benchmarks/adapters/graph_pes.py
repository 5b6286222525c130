"""graph-pes' PaiNN through its own ASE calculator, which reuses neighbor lists within a skin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from ase import Atoms
from graph_pes.models import PaiNN
from graph_pes.utils.calculator import GraphPESCalculator
from tasks import Case, NotOfferedError

PACKAGES = ("graph-pes",)
SKIN = 0.5
"""Å; as in ours, its default is 1 Å."""
CHUNK = 128
"""Structures of a batch."""


class GraphPES:
    """A `tasks.Program`: 128 channels, 4 layers, 20 radial features, 5 Å."""

    def __init__(self, device: str) -> None:
        torch.manual_seed(0)
        self.device = device
        model = PaiNN(channels=128, radial_features=20, layers=4, cutoff=5.0)
        self.model = model.to(device).requires_grad_(False).eval()

    def calculator(self) -> GraphPESCalculator:
        """With a skin."""
        return GraphPESCalculator(self.model, device=self.device, skin=SKIN)

    def spent_on_neighbors(self) -> None:
        """Not told."""

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """Its `calculate_all`."""
        if case.get("heads", 1) > 1:
            raise NotOfferedError("one head")
        calc = GraphPESCalculator(self.model, device=self.device, skin=0.0)
        wanted = ["energy", "forces"]
        return lambda: calc.calculate_all(structures, properties=wanted, batch_size=CHUNK)

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """Not measured."""
        raise NotOfferedError("not measured")


def make(device: str, options: Mapping[str, Any]) -> GraphPES:
    """For `worker.py`; no options."""
    return GraphPES(device)
