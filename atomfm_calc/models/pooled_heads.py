"""Energy heads that read the features of a whole structure, as HydraGNN's do.

HydraGNN pools the features of all atoms and gives them to one network per dataset. Such an energy
is no sum over atoms: it is not size-extensive, the energies of far molecules do not add up, and
there are no energies of atoms.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from atomfm_calc.graph import AtomicGraph, sum_to_structures
from atomfm_calc.models.activations import find_activation
from atomfm_calc.models.architecture import EnergyHeadConfig
from atomfm_calc.models.heads import EnergyHead
from atomfm_calc.models.precision import dense_layers


class PooledEnergyHead(EnergyHead):
    """Energy = sum of the elements' reference energies + scale x network(pooled features)."""

    def __init__(self, n_features: int, config: EnergyHeadConfig, activation: str) -> None:
        """`activation` is a key of `ACTIVATIONS`."""
        super().__init__(n_features, config, find_activation(activation))

    def structure_energies(self, pooled: Tensor, graph: AtomicGraph) -> Tensor:
        """Features [S, H] -> energies [S] eV, float64."""
        with dense_layers(self):
            raw = self.network(pooled)[:, 0].to(torch.float64)
        references = self.references.index_select(0, graph.atomic_numbers)
        return sum_to_structures(references, graph) + self.scale * raw


def read_pooled(heads: list[EnergyHead], pooled: Tensor, graph: AtomicGraph) -> Tensor:
    """Energies of several pooled heads: [H, S] eV, float64, H heads of S structures.

    Args:
        heads: each a `PooledEnergyHead`.
        pooled: [S, F], or [H, S, F] to differentiate each head by its own copy.
        graph: S structures.
    """
    own = pooled.expand(len(heads), -1, -1).unbind(0)
    members = cast(list[PooledEnergyHead], heads)
    return torch.stack(
        [head.structure_energies(part, graph) for head, part in zip(members, own, strict=True)]
    )
