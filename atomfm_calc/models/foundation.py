"""`FoundationModel`: one backbone and the named heads that read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from atomfm_calc.errors import ConfigError, lookup
from atomfm_calc.graph import AtomicGraph, sum_to_structures
from atomfm_calc.models import build_backbone
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.heads import EnergyHead
from atomfm_calc.models.painn import AtomFeatures
from atomfm_calc.models.repulsion import ZBLRepulsion

HEAD_NAME = re.compile(r"[a-z][a-z0-9-]*")
"""Allowed head names; "mixture" and "all" are reserved words."""
RESERVED_NAMES = ("all", "mixture")


class Energy(NamedTuple):
    """Energies of the structures of a graph."""

    structures: Tensor
    """[S] eV, float64"""
    atoms: Tensor | None
    """[N] eV, float64, adding up to `structures`; None if the model has no atom energies"""


EnergyFunction = Callable[[AtomicGraph], Energy]
"""What `derivatives.predict` differentiates."""


class FoundationModel(nn.Module):
    """Energies of one structure according to any of several levels of theory."""

    def __init__(
        self, architecture: Architecture, heads: Sequence[str], kernel: str = "reference"
    ) -> None:
        """A model with fresh weights.

        Args:
            architecture: backbone, head sizes, repulsion.
            heads: names, in the order that head indices follow.
            kernel: key of `KERNELS`.

        Raises:
            ConfigError: a head name that is reserved, repeated or not made of a-z, 0-9 and "-".
        """
        super().__init__()
        self.architecture = architecture
        self.kernel = kernel
        self.backbone = build_backbone(architecture, kernel)
        self.repulsion = ZBLRepulsion() if architecture.repulsion == "zbl" else None
        self.heads = nn.ModuleDict()
        for name in heads:
            self.add_head(name)

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads; the position is the head index."""
        return tuple(self.heads)

    @property
    def cutoff(self) -> float:
        """Radius within which atoms are neighbors, Å."""
        return float(cast(float, self.backbone.cutoff))

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the network's weights."""
        return next(self.backbone.parameters()).dtype

    def set_recompute(self, recompute: bool) -> None:
        """Compute the backbone's blocks again for each derivative instead of keeping them."""
        cast(Any, self.backbone).recompute = recompute

    def add_head(self, name: str) -> EnergyHead:
        """Add an energy head with fresh weights after the last one; ConfigError if not possible."""
        if name in RESERVED_NAMES or not HEAD_NAME.fullmatch(name):
            raise ConfigError(
                f"head name {name!r}: use a-z, 0-9 and '-', begin with a letter; "
                f"{' and '.join(RESERVED_NAMES)} are reserved"
            )
        if name in self.heads:
            raise ConfigError(f"there already is a head {name!r}; choose another name")
        n_features = int(cast(int, self.backbone.n_features))
        head = EnergyHead(n_features, self.architecture.head)
        self.heads[name] = head
        return head

    def drop_head(self, name: str) -> None:
        """Remove a head; UnknownNameError if there is none of that name."""
        self.head(name)
        del self.heads[name]

    def head(self, name: str) -> EnergyHead:
        """The head `name`; UnknownNameError lists what there is."""
        return cast(EnergyHead, lookup(dict(self.heads.items()), name, "head", "this model"))

    def features(self, graph: AtomicGraph) -> AtomFeatures:
        """The backbone's features of every atom."""
        return cast(AtomFeatures, self.backbone(graph))

    def energy(self, graph: AtomicGraph, head: str) -> Energy:
        """Energies according to one head."""
        return self.energies(graph, [head])[head]

    def energies(self, graph: AtomicGraph, heads: Sequence[str]) -> dict[str, Energy]:
        """Energies according to several heads, by name, from one backbone pass."""
        chosen = {name: self.head(name) for name in heads}
        scalars = self.features(graph).scalars
        repulsion = self._repulsion_energies(graph)
        result = {}
        for name, head in chosen.items():
            atoms = head(scalars, graph.atomic_numbers)
            atoms = atoms if repulsion is None else atoms + repulsion
            result[name] = Energy(structures=sum_to_structures(atoms, graph), atoms=atoms)
        return result

    def energy_of(self, head: str) -> EnergyFunction:
        """`energy` for a fixed head, to be given to `predict`."""
        self.head(head)
        return partial(self.energy, head=head)

    def energy_of_mixed_heads(self, graph: AtomicGraph, head_index: Tensor) -> Energy:
        """Each structure according to its own head, from one backbone pass.

        Every head is evaluated, if need be on no atoms, so that each has a gradient in each batch.

        Args:
            graph: S structures.
            head_index: [S] int64, positions in `head_names`.
        """
        scalars = self.features(graph).scalars
        head_of_atom = head_index.index_select(0, graph.batch)
        atoms = torch.zeros(len(scalars), dtype=torch.float64, device=scalars.device)
        for index, head in enumerate(self.heads.values()):
            members = (head_of_atom == index).nonzero()[:, 0]
            energies = head(scalars.index_select(0, members), graph.atomic_numbers[members])
            atoms = atoms.index_add(0, members, energies)
        repulsion = self._repulsion_energies(graph)
        atoms = atoms if repulsion is None else atoms + repulsion
        return Energy(structures=sum_to_structures(atoms, graph), atoms=atoms)

    def _repulsion_energies(self, graph: AtomicGraph) -> Tensor | None:
        if self.repulsion is None:
            return None
        return cast(Tensor, self.repulsion(graph)).to(torch.float64)
