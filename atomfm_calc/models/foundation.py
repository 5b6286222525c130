"""`FoundationModel`: one backbone and the named heads that read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from atomfm_calc.errors import ConfigError, DataError, lookup
from atomfm_calc.graph import AtomicGraph, sum_to_structures
from atomfm_calc.kernels import KERNELS
from atomfm_calc.models import build_backbone
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.heads import EnergyHead
from atomfm_calc.models.painn import AtomFeatures
from atomfm_calc.models.pooled_heads import PooledEnergyHead, read_pooled
from atomfm_calc.models.property_heads import (
    PropertyHead,
    PropertyHeadConfig,
    make_property_head,
)
from atomfm_calc.models.repulsion import ZBLRepulsion
from atomfm_calc.models.stacked_heads import StackedHeads, can_stack, stack
from atomfm_calc.properties import PROPERTIES

HEAD_NAME = re.compile(r"[a-z][a-z0-9-]*")
"""Allowed head names; "mixture" and "all" are reserved words."""
RESERVED_NAMES = ("all", "mixture")
PROPERTY_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Allowed names of property heads, but for those of `PROPERTIES`."""


class Energy(NamedTuple):
    """Energies of the structures of a graph."""

    structures: Tensor
    """[S] eV, float64"""
    atoms: Tensor | None
    """[N] eV, float64, adding up to `structures`; None if the model has no atom energies"""
    descriptors: Tensor | None = None
    """What `FoundationModel.descriptors` gave; None for several heads together"""


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
        self.backbone = build_backbone(architecture, kernel)
        self.kernel = kernel if hasattr(self.backbone, "kernel") else "reference"
        self.repulsion = (
            ZBLRepulsion(KERNELS[self.kernel]) if architecture.repulsion == "zbl" else None
        )
        self.heads = nn.ModuleDict()
        self.property_heads = nn.ModuleDict()
        self._stack: StackedHeads | None = None
        for name in heads:
            self.add_head(name)

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads; the position is the head index."""
        return tuple(self.heads)

    @property
    def pools(self) -> bool:
        """Whether heads read pooled features of structures, so that atoms have no energies."""
        return bool(getattr(self.backbone, "pools", False))

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
        sizes = self.architecture.own_heads.get(name, self.architecture.head)
        head = (
            PooledEnergyHead(n_features, sizes, self.architecture.hydra_painn.activation)
            if self.pools
            else EnergyHead(n_features, sizes)
        )
        self.heads[name] = head
        return head

    def drop_head(self, name: str) -> None:
        """Remove a head; UnknownNameError if there is none of that name."""
        self.head(name)
        del self.heads[name]
        self._stack = None

    def head(self, name: str) -> EnergyHead:
        """The head `name`; UnknownNameError lists what there is."""
        return cast(EnergyHead, lookup(dict(self.heads.items()), name, "head", "this model"))

    @property
    def property_configs(self) -> dict[str, PropertyHeadConfig]:
        """Name -> what a property head predicts."""
        return {name: self.property_head(name).config for name in self.property_heads}

    def add_property_head(self, name: str, config: PropertyHeadConfig) -> PropertyHead:
        """Add a property head with fresh weights after the last one; ConfigError if not possible.

        The name is that of the property.
        """
        if name in PROPERTIES or not PROPERTY_NAME.fullmatch(name):
            raise ConfigError(
                f"property name {name!r}: use a-z, 0-9 and '_', begin with a letter; "
                f"{', '.join(PROPERTIES)} belong to energy heads"
            )
        if name in self.property_heads:
            raise ConfigError(f"there already is a property {name!r}; choose another name")
        head = make_property_head(int(cast(int, self.backbone.n_features)), config)
        self.property_heads[name] = head
        return head

    def property_head(self, name: str) -> PropertyHead:
        """The head of a property; UnknownNameError lists what there is."""
        table = dict(self.property_heads.items())
        return cast(PropertyHead, lookup(table, name, "property", "this model"))

    def properties(self, graph: AtomicGraph, names: Sequence[str]) -> dict[str, Tensor]:
        """Learned values of several properties, from one backbone pass.

        Args:
            graph: S structures, N atoms.
            names: of property heads.

        Returns:
            [S], [N] or logits [S, classes] each; `PropertyHead.value` makes the properties of them.

        Raises:
            UnknownNameError: no such property.
        """
        chosen = {name: self.property_head(name) for name in names}
        scalars = self.features(graph).scalars
        return {name: head(scalars, graph) for name, head in chosen.items()}

    def features(self, graph: AtomicGraph) -> AtomFeatures:
        """The backbone's features of every atom."""
        return cast(AtomFeatures, self.backbone(graph))

    def energy(self, graph: AtomicGraph, head: str) -> Energy:
        """Energies according to one head."""
        return self.energies(graph, [head])[head]

    def energies(self, graph: AtomicGraph, heads: Sequence[str]) -> dict[str, Energy]:
        """Energies according to several heads, by name, from one backbone pass."""
        names = tuple(dict.fromkeys(heads))
        self._members(names)  # an unknown name is told before anything is computed
        repulsion, descriptors = self.repulsion_energies(graph), self.descriptors(graph)
        found = self.read(descriptors, graph, names, repulsion)
        return {name: energy._replace(descriptors=descriptors) for name, energy in found.items()}

    def descriptors(self, graph: AtomicGraph) -> Tensor:
        """What energy heads read: features of atoms [N, F], or pooled ones [S, F]."""
        features = self.features(graph)
        return features.scalars if features.pooled is None else features.pooled

    def read(
        self,
        descriptors: Tensor,
        graph: AtomicGraph,
        heads: Sequence[str],
        repulsion: Tensor | None,
    ) -> dict[str, Energy]:
        """Energies that several heads make of given descriptors, by name.

        Args:
            descriptors: from `descriptors`, or [H, ...] to differentiate each head by its own copy.
            graph: S structures.
            heads: H names.
            repulsion: from `repulsion_energies`; is added.

        Raises:
            ConfigError, UnknownNameError: no head is named, or there is none of that name.
        """
        if self.pools:
            totals = read_pooled(self._members(heads), descriptors, graph)  # [H, S]
            if repulsion is not None:
                totals = totals + sum_to_structures(repulsion, graph)
            return {name: Energy(total, None) for name, total in zip(heads, totals, strict=True)}
        atoms = self.head_energies(descriptors, graph.atomic_numbers, heads)
        atoms = atoms if repulsion is None else atoms + repulsion
        totals = sum_to_structures(atoms.T, graph).T  # [H, S]
        return {
            name: Energy(structures=total, atoms=energies)
            for name, total, energies in zip(heads, totals, atoms, strict=True)
        }

    def head_energies(
        self, scalars: Tensor, atomic_numbers: Tensor, heads: Sequence[str]
    ) -> Tensor:
        """What several heads make of given features: [H, N] eV, float64, without the repulsion.

        Frozen heads of equal widths are evaluated together, as batched matrix products.

        Args:
            scalars: [N, F], or [H, N, F] to differentiate each head by its own copy.
            atomic_numbers: [N]
            heads: H names.

        Raises:
            ConfigError: `heads` is empty.
            UnknownNameError: no such head.
        """
        chosen = self._members(heads)
        if self._stack is not None and self._stack.is_current(chosen):
            return self._stack.atom_energies(scalars, atomic_numbers)
        kernel = KERNELS[self.kernel]
        if (len(chosen) > 1 or kernel.heads is not None) and can_stack(chosen):
            self._stack = stack(chosen, kernel)
            return self._stack.atom_energies(scalars, atomic_numbers)
        own = scalars.expand(len(chosen), -1, -1).unbind(0)
        return torch.stack(
            [head(features, atomic_numbers) for head, features in zip(chosen, own, strict=True)]
        )

    def repulsion_energies(self, graph: AtomicGraph) -> Tensor | None:
        """The part of every head's energy that the network has no say in: [N] eV, float64."""
        if self.repulsion is None:
            return None
        return cast(Tensor, self.repulsion(graph)).to(torch.float64)

    def mixture_energy(
        self, graph: AtomicGraph, weights: Tensor, heads: Sequence[str] | None = None
    ) -> Energy:
        """Weighted sum over heads, from one backbone pass; its forces take one backward pass.

        Energies of different heads have different zeros, so the energy of a mixture has a zero of
        its own, which moves with the weights: only energies of equal weights and composition can
        be subtracted. Forces are those of this energy at fixed weights; weights that depend on the
        positions must come as a differentiable function of them.

        Args:
            graph: S structures.
            weights: [S, H], or [1, H] for the same mixture everywhere. They are used as they are;
                a mean has weights that add up to 1.
            heads: H names, in the order of the columns; None: all.

        Raises:
            DataError: weights of another shape.
            ConfigError: a head is named twice, or none is.
            UnknownNameError: no such head.
        """
        names = self.head_names if heads is None else tuple(heads)
        if len(set(names)) < len(names) or not names:
            raise ConfigError(f"heads of a mixture are {list(names)}; name each once, one at least")
        allowed = ((graph.n_structures, len(names)), (1, len(names)))
        if tuple(weights.shape) not in allowed:
            raise DataError(
                f"weights have shape {tuple(weights.shape)}; {graph.n_structures} structures and "
                f"{len(names)} heads need {allowed[0]}, or {allowed[1]} for the same everywhere"
            )
        descriptors, repulsion = self.descriptors(graph), self.repulsion_energies(graph)
        of_structure = weights.to(torch.float64).expand(graph.n_structures, -1)  # [S, H]
        if self.pools:
            of_heads = self.read(descriptors, graph, names, repulsion)
            totals = torch.stack([of_heads[name].structures for name in names], dim=1)  # [S, H]
            return Energy(structures=(of_structure * totals).sum(dim=1), atoms=None)
        energies = self.head_energies(descriptors, graph.atomic_numbers, names)
        energies = energies if repulsion is None else energies + repulsion  # [H, N]
        atoms = (of_structure.index_select(0, graph.batch) * energies.T).sum(dim=1)
        return Energy(structures=sum_to_structures(atoms, graph), atoms=atoms)

    def energy_of_mixture(
        self, weights: Tensor, heads: Sequence[str] | None = None
    ) -> EnergyFunction:
        """`mixture_energy` for fixed weights, to be given to `predict`."""
        return partial(self.mixture_energy, weights=weights, heads=heads)

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
        scalars, repulsion = self.descriptors(graph), self.repulsion_energies(graph)
        if self.pools:
            of_heads = self.read(scalars, graph, self.head_names, repulsion).values()
            totals = torch.stack([energy.structures for energy in of_heads])  # [H, S]
            return Energy(structures=totals.gather(0, head_index[None])[0], atoms=None)
        head_of_atom = head_index.index_select(0, graph.batch)
        atoms = torch.zeros(len(scalars), dtype=torch.float64, device=scalars.device)
        for index, head in enumerate(self.heads.values()):
            members = (head_of_atom == index).nonzero()[:, 0]
            energies = head(scalars.index_select(0, members), graph.atomic_numbers[members])
            atoms = atoms.index_add(0, members, energies)
        atoms = atoms if repulsion is None else atoms + repulsion
        return Energy(structures=sum_to_structures(atoms, graph), atoms=atoms)

    def _members(self, heads: Sequence[str]) -> list[EnergyHead]:
        if not heads:
            raise ConfigError(f"no head is named; this model has {', '.join(self.head_names)}")
        return [self.head(name) for name in heads]
