"""MACE: many-body messages from products of what all neighbors say.

Batatia, Kovács, Simm, Ortner, Csányi, "MACE: Higher order equivariant message passing neural
networks for fast and accurate force fields", NeurIPS 2022 (arXiv 2206.07697), eqs. 7 to 11. The
blocks are those of mace-torch, on e3nn; what they are put together to gives features to our heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self, cast

import torch
from torch import Tensor, nn

from atomfm_calc.graph import AtomicGraph
from atomfm_calc.models.backbone import Backbone, near_edges
from atomfm_calc.models.family_sizes import MaceConfig
from atomfm_calc.models.mace_blocks import (
    EquivariantProductBasisBlock,
    RadialEmbeddingBlock,
    RealAgnosticInteractionBlock,
    RealAgnosticResidualInteractionBlock,
    o3,
)
from atomfm_calc.models.painn import AtomFeatures
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

N_ELEMENTS = MAX_ATOMIC_NUMBER + 1
DISTANCE_TRANSFORMS = {"none": "None", "agnesi": "Agnesi", "soft": "Soft"}
CARTESIAN = [2, 0, 1]
"""Where x, y and z stand among e3nn's components of degree one (y, z, x)."""


class MaceLayer(nn.Module):
    """Interaction, then products of what was gathered (eqs. 8 to 11)."""

    def __init__(self, interaction: nn.Module, product: nn.Module) -> None:
        super().__init__()
        self.interaction = interaction
        self.product = product

    def forward(
        self, features: Tensor, elements: Tensor, angular: Tensor, radial: Tensor, flow: Tensor
    ) -> Tensor:
        """New features of every atom, in e3nn's order of irreducible parts.

        Args:
            features: [N, C (node_max_ell + 1)²], or [N, C] before the first layer.
            elements: [N, Z] one at the atom's element.
            angular: [E, (max_ell + 1)²] spherical harmonics.
            radial: [E, R], zero at the cutoff.
            flow: [2, E] from neighbor, to center.
        """
        gathered, skipped = self.interaction(
            node_attrs=elements,
            node_feats=features,
            edge_attrs=angular,
            edge_feats=radial,
            edge_index=flow,
        )
        made: Tensor = self.product(node_feats=gathered, sc=skipped, node_attrs=elements)
        return made


class Mace(Backbone):
    """Element embedding, then layers; the invariant parts of all of them are the features."""

    def __init__(self, config: MaceConfig) -> None:
        width = config.n_channels
        super().__init__(width * (config.n_layers + 1), config.cutoff, width, config.conditioning)
        self.config = config
        with _double_precision():
            self.radial = RadialEmbeddingBlock(
                r_max=config.cutoff,
                num_bessel=config.n_radial,
                num_polynomial_cutoff=config.envelope_power,
                radial_type=config.radial_basis,
                distance_transform=DISTANCE_TRANSFORMS[config.distance_transform],
            )
            self.harmonics = o3.SphericalHarmonics(
                o3.Irreps.spherical_harmonics(config.max_ell),
                normalize=True,
                normalization="component",
            )
            self.layers = nn.ModuleList(_layer(config, index) for index in range(config.n_layers))
        # e3nn's coupling constants; a network sent to float32 and back would have lost digits
        self._exact = {name: buffer.clone() for name, buffer in self._constants()}
        self.to(torch.get_default_dtype())

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers."""
        return list(self.layers)

    def _constants(self) -> Iterator[tuple[str, Tensor]]:
        return (
            (name, buffer)
            for name, buffer in self.named_buffers()
            if buffer.dtype.is_floating_point
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow `.to`, with constants rounded once, from float64."""
        super()._apply(fn, recurse)
        with torch.no_grad():
            for name, buffer in self._constants():
                buffer.copy_(self._exact[name])
        return self

    def forward(self, graph: AtomicGraph) -> AtomFeatures:
        """Scalars [N, C (n_layers + 1)] of every atom, and vectors [N, 3, C] if there are."""
        edges = near_edges(graph, self.cutoff)
        features: Tensor = self.embedding(graph)  # [N, C]
        elements = nn.functional.one_hot(graph.atomic_numbers, N_ELEMENTS).to(features.dtype)
        flow = edges.flow
        numbers = torch.arange(N_ELEMENTS, device=flow.device)
        radial, _ = self.radial(edges.distances[:, None], elements, flow, numbers)  # [E, R]
        angular = self.harmonics(edges.vectors)  # [E, (max_ell + 1)²]
        n_channels = self.config.n_channels
        scalars = [features]  # without them a lone ion would be like its atom
        vectors: Tensor | None = None
        for layer in self.layers:
            features = self.run(layer, features, elements, angular, radial, flow)
            scalars.append(features[:, :n_channels])
            if features.shape[1] >= 4 * n_channels:
                degree_one = features[:, n_channels : 4 * n_channels].unflatten(1, (n_channels, 3))
                vectors = degree_one[:, :, CARTESIAN].transpose(1, 2)  # [N, 3, C]
        return AtomFeatures(scalars=torch.cat(scalars, dim=1), vectors=vectors)


def _layer(config: MaceConfig, index: int) -> MaceLayer:
    """Layer `index`; the last one makes scalars only, as nothing reads more of it."""
    channels = config.n_channels
    scalars = o3.Irreps(f"{channels}x0e")
    hidden = (channels * o3.Irreps.spherical_harmonics(config.node_max_ell)).sort()[0].simplify()
    harmonics = o3.Irreps.spherical_harmonics(config.max_ell)
    gathered = (harmonics * channels).sort()[0].simplify()
    last = index == config.n_layers - 1
    made = scalars if last else hidden
    kind = RealAgnosticInteractionBlock if index == 0 else RealAgnosticResidualInteractionBlock
    interaction = kind(
        node_attrs_irreps=o3.Irreps(f"{N_ELEMENTS}x0e"),
        node_feats_irreps=scalars if index == 0 else hidden,
        edge_attrs_irreps=harmonics,
        edge_feats_irreps=o3.Irreps(f"{config.n_radial}x0e"),
        target_irreps=gathered,
        hidden_irreps=made,
        avg_num_neighbors=float(config.typical_neighbors),
        radial_MLP=list(config.radial_hidden),
    )
    product = EquivariantProductBasisBlock(
        node_feats_irreps=gathered,
        target_irreps=made,
        correlation=config.correlation,
        num_elements=N_ELEMENTS,
        use_sc=index > 0,
    )
    return MaceLayer(cast(nn.Module, interaction), cast(nn.Module, product))


@contextmanager
def _double_precision() -> Iterator[None]:
    """e3nn computes its constants in torch's default dtype; it is as before afterwards."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
