"""What the users of an imported model must know, measured on the model itself.

HydraGNN's pooled heads are not size-extensive, and the biased vectors of its version 5.0 make
energies depend on the orientation; how much depends on the weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.graph import collate
from atomfm_calc.models.derivatives import predict_heads
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.neighbors import graph_from_sample
from atomfm_calc.sample import Sample

DISTANCE = 50.0
"""Å between two molecules that do not see each other."""
N_ROTATIONS = 20

_WATER = Sample(
    atomic_numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.0, 0.119], [0.0, 0.763, -0.477], [0.0, -0.763, -0.477]]),
    source="water",
)
_METHANOL = Sample(
    atomic_numbers=np.array([6, 8, 1, 1, 1, 1]),
    positions=np.array(
        [
            [-0.047, 0.664, 0.0],
            [-0.047, -0.758, 0.0],
            [-1.093, 0.970, 0.0],
            [0.878, -1.046, 0.0],
            [0.438, 1.071, 0.889],
            [0.438, 1.071, -0.889],
        ]
    ),
    source="methanol",
)


def describe_size(model: FoundationModel) -> str:
    """How far two water molecules, far apart, are from having twice the energy of one."""
    far = _WATER.positions + np.array([DISTANCE, 0.0, 0.0])
    pair = replace(
        _WATER,
        atomic_numbers=np.tile(_WATER.atomic_numbers, 2),
        positions=np.vstack([_WATER.positions, far]),
    )
    energies = _energies(model, [_WATER, pair])  # [H, 2]
    excess = energies[:, 1] - 2.0 * energies[:, 0]
    ratio = energies[:, 1] / (2.0 * energies[:, 0])
    return (
        f"two water molecules {DISTANCE:.0f} Å apart have {ratio.min():.2f} to {ratio.max():.2f} "
        f"times twice the energy of one, {np.abs(excess).max():.2f} eV off at most, over "
        f"{len(energies)} heads: energies of parts do not add up"
    )


def describe_rotation(model: FoundationModel) -> str:
    """How much the energy of methanol depends on its orientation."""
    generator = np.random.default_rng(0)
    turned = [
        replace(_METHANOL, positions=_METHANOL.positions @ _random_rotation(generator).T)
        for _ in range(N_ROTATIONS)
    ]
    energies = _energies(model, turned)  # [H, rotations]
    spread = 1000.0 * (energies.max(axis=1) - energies.min(axis=1)).max()
    return (
        f"the energy of methanol in {N_ROTATIONS} orientations spreads over {spread:.2g} meV in "
        f"the worst of {len(energies)} heads"
    )


def _energies(model: FoundationModel, samples: list[Sample]) -> NDArray[np.float64]:
    """Of every head and structure, in eV: [H, S]."""
    graph = collate([graph_from_sample(one, model.cutoff, model.dtype) for one in samples])
    found = predict_heads(model, graph, model.head_names, ("energy",))
    return np.asarray(torch.stack([one.energy for one in found.values()]).numpy())


def _random_rotation(generator: np.random.Generator) -> NDArray[np.float64]:
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    return np.asarray(rotation * np.linalg.det(rotation))
