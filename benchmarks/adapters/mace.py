"""MACE in the size of its "small" models (128x0e, 2 layers, l = 3), random weights, 5 Å."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ase import Atoms
from tasks import Case, NotOfferedError

torch.serialization.add_safe_globals([slice])  # in e3nn's table of constants

from e3nn.o3 import Irreps  # noqa: E402
from mace import data, modules, tools  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.tools import torch_geometric  # noqa: E402

PACKAGES = ("mace-torch", "e3nn")
CUTOFF = 5.0
CHUNK = 64
"""Structures of a batch."""
ELEMENTS = (1, 6, 7, 8, 12, 14)


def make_model() -> torch.nn.Module:
    """As `mace_run_train` builds it from its defaults and the sizes above."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    block = "RealAgnosticResidualInteractionBlock"
    return modules.ScaleShiftMACE(
        r_max=CUTOFF,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=modules.interaction_classes[block],
        interaction_cls_first=modules.interaction_classes[block],
        num_interactions=2,
        num_elements=len(ELEMENTS),
        hidden_irreps=Irreps("128x0e"),
        MLP_irreps=Irreps("16x0e"),
        atomic_energies=np.zeros(len(ELEMENTS)),
        avg_num_neighbors=40.0,
        atomic_numbers=list(ELEMENTS),
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


class Mace:
    """A `tasks.Program`."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.model = make_model().to(device).requires_grad_(False).eval()

    def calculator(self) -> MACECalculator:
        """Its own; makes a neighbor list at every call."""
        return MACECalculator(models=self.model, device=self.device, default_dtype="float32")

    def spent_on_neighbors(self) -> None:
        """Not told."""

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """As its program `mace_eval_configs` does."""
        if case.get("heads", 1) > 1:
            raise NotOfferedError("one head")
        table = tools.AtomicNumberTable(list(ELEMENTS))

        def compute() -> None:
            configs = [data.config_from_atoms(atoms) for atoms in structures]
            graphs = [
                data.AtomicData.from_config(config, z_table=table, cutoff=CUTOFF)
                for config in configs
            ]
            loader = torch_geometric.dataloader.DataLoader(graphs, batch_size=CHUNK, shuffle=False)
            for batch in loader:
                results = self.model(batch.to(self.device).to_dict())
                results["forces"].cpu().numpy()

        return compute

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """Not measured."""
        raise NotOfferedError("not measured")


def make(device: str, options: Mapping[str, Any]) -> Mace:
    """For `worker.py`; no options."""
    return Mace(device)
