"""CHGNet with the trained weights in its package: 4 layers, 64 features, 6 Å, angles within 3 Å."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ase import Atoms
from chgnet.model.dynamics import CHGNetCalculator
from chgnet.model.model import CHGNet
from tasks import Case, NotOfferedError

PACKAGES = ("chgnet",)


class Chgnet:
    """A `tasks.Program`."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.model = CHGNet.load(use_device=device, verbose=False)

    def calculator(self) -> CHGNetCalculator:
        """Its own; always computes stress and magnetic moments too."""
        return CHGNetCalculator(self.model, use_device=self.device, on_isolated_atoms="ignore")

    def spent_on_neighbors(self) -> None:
        """Not told."""

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """Periodic structures only, and those of the benchmark are not."""
        raise NotOfferedError("periodic structures only")

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """Periodic structures only."""
        raise NotOfferedError("periodic structures only")


def make(device: str, options: Mapping[str, Any]) -> Chgnet:
    """For `worker.py`; no options."""
    return Chgnet(device)
