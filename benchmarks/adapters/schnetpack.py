"""SchNetPack's PaiNN through its own ASE calculator, with its own neighbor list that has a skin.

Two things that do not work with a new torch are gone around, neither touches what is computed:
schnetpack 2.2 imports the name of a type variable that torch has since renamed, and its calculator
loads whole pickled modules, which torch refuses; here it is given the model. Weights are frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from ase import Atoms
from tasks import Case, NotOfferedError
from torch.utils.data import dataloader

if not hasattr(dataloader, "T_co"):
    dataloader.T_co = dataloader._T_co

import schnetpack
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.interfaces import AtomsConverter, SpkCalculator
from schnetpack.transform import MatScipyNeighborList, SkinNeighborList

PACKAGES = ("schnetpack",)
CUTOFF, SKIN = 5.0, 0.5
"""Å; the skin is ours, larger than its default of 0.3."""
CHUNK = 128
"""Structures of a batch."""
ENERGY_UNIT = 0.05
"""eV: forces of random weights become small, or they would heat the atoms within a few steps."""


def make_model() -> torch.nn.Module:
    """128 features, 4 layers, 20 radial functions, energy and forces."""
    torch.manual_seed(0)
    representation = schnetpack.representation.PaiNN(
        n_atom_basis=128,
        n_interactions=4,
        radial_basis=schnetpack.nn.GaussianRBF(n_rbf=20, cutoff=CUTOFF),
        cutoff_fn=schnetpack.nn.CosineCutoff(CUTOFF),
    )
    return schnetpack.model.NeuralNetworkPotential(
        representation=representation,
        input_modules=[PairwiseDistances()],
        output_modules=[Atomwise(n_in=128, output_key="energy"), Forces()],
    )


class GivenModelCalculator(SpkCalculator):
    """`SpkCalculator` for a model instead of a file."""

    def _load_model(self, model_file: torch.nn.Module) -> torch.nn.Module:
        return model_file.eval()


class SchNetPack:
    """A `tasks.Program`."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.model = make_model().to(device).requires_grad_(False).eval()

    def calculator(self) -> SpkCalculator:
        """As a user would build it for dynamics."""
        skin = SkinNeighborList(MatScipyNeighborList(CUTOFF), cutoff_skin=SKIN)
        return GivenModelCalculator(
            self.model, neighbor_list=skin, energy_unit=ENERGY_UNIT, device=self.device
        )

    def spent_on_neighbors(self) -> None:
        """Not told."""

    def converter(self) -> AtomsConverter:
        """From structures to a batch."""
        return AtomsConverter(neighbor_list=MatScipyNeighborList(CUTOFF), device=self.device)

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """Its converter takes a list."""
        if case.get("heads", 1) > 1:
            raise NotOfferedError("one head")
        convert = self.converter()

        def compute() -> None:
            for start in range(0, len(structures), CHUNK):
                results = self.model(convert(structures[start : start + CHUNK]))
                results["forces"].cpu().numpy()

        return compute

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """The gradient of a loss on energies and forces, and a step of AdamW."""
        model = make_model().to(self.device).train()
        inputs = self.converter()(structures)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

        def step() -> None:
            optimizer.zero_grad()
            found = model(deepcopy(inputs))  # the model writes into what it is given
            loss = found["energy"].square().mean() + found["forces"].square().mean()
            loss.backward()
            optimizer.step()

        return step


def make(device: str, options: Mapping[str, Any]) -> SchNetPack:
    """For `worker.py`; no options."""
    return SchNetPack(device)
