"""This project's model through torch-sim: many structures as one state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch_sim
from adapters.atomfm import HIDDEN, parts
from ase import Atoms
from random_model import make_evaluator
from tasks import Case, NotOfferedError

from atomfm_calc.calculators.setup import CalculatorSettings
from atomfm_calc.calculators.torchsim import TorchSimModel

PACKAGES = ("torch-sim-atomistic", "atomfm")


class TorchSim:
    """A `tasks.Program`."""

    def __init__(self, device: str, kernel: str | None) -> None:
        self.device = device
        settings = CalculatorSettings(device=device, kernel=kernel)
        self.model = TorchSimModel(
            make_evaluator(kernel, 1, HIDDEN, device).loaded, settings, compute_stress=False
        )

    def calculator(self) -> object:
        """It has none for ASE."""
        raise NotOfferedError("no ASE calculator")

    def spent_on_neighbors(self) -> None:
        """Not told."""

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """States of as many structures as `predict_many` takes at a time."""
        if case.get("heads", 1) > 1:
            raise NotOfferedError("one head")

        def compute() -> None:
            for part in parts(structures):
                state = torch_sim.io.atoms_to_state(part, self.device, torch.float32)
                self.model(state)

        return compute

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """It has none."""
        raise NotOfferedError("no training")


def make(device: str, options: Mapping[str, Any]) -> TorchSim:
    """For `worker.py`; the option "kernel" names one, or the fastest is taken."""
    return TorchSim(device, options.get("kernel"))
