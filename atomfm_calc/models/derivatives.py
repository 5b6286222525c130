"""Energies and their derivatives: the one gradient function of the house."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from atomfm_calc.errors import DataError, PropertyError, lookup
from atomfm_calc.graph import AtomicGraph, volumes
from atomfm_calc.models.foundation import Energy, EnergyFunction, FoundationModel

WANTED: dict[str, str] = {
    "energy": "energy of each structure",
    "forces": "minus the gradient with respect to the positions",
    "stress": "gradient with respect to strain, per volume",
}
"""What `predict` can be asked for."""


class Prediction(NamedTuple):
    """Results for S structures with N atoms; None where not wanted."""

    energy: Tensor
    """[S] eV"""
    atom_energies: Tensor | None
    """[N] eV, adding up to `energy`"""
    forces: Tensor | None
    """[N, 3] eV/Å"""
    stress: Tensor | None
    """[S, 3, 3] eV/Å³"""
    properties: Mapping[str, Tensor] | None = None
    """Learned values by property head, as `FoundationModel.properties` gives them"""
    descriptors: Tensor | None = None
    """What the head read, see `FoundationModel.descriptors`; None for several heads together"""


def predict(
    energy_of: EnergyFunction,
    graph: AtomicGraph,
    want: Sequence[str] = ("energy", "forces"),
    *,
    differentiable: bool = False,
) -> Prediction:
    """Energy of each structure and, if wanted, its derivatives.

    Forces are -dE/dR. Stress is (dE/dstrain)/volume for a symmetric strain of cell and positions
    together, so a stretched crystal has positive stress, as in ASE.

    Args:
        energy_of: maps a graph to energies, differentiable in `positions` and `cell`.
        graph: S structures, N atoms; is not changed.
        want: any of "energy", "forces", "stress".
        differentiable: keep the graph of operations, so that a loss on forces and stress can be
            differentiated with respect to the weights; the results are detached otherwise.

    Returns:
        energy [S] eV, atom_energies [N] eV, forces [N, 3] eV/Å, stress [S, 3, 3] eV/Å³. Where a
        batch also has structures that are not periodic in three directions, their stress is NaN.

    Raises:
        PropertyError: stress is wanted and no structure is periodic in three directions.
        UnknownNameError: `want` names something else.

    Source: Knuth et al., Comput. Phys. Commun. 190, 33 (2015), eq. 10.
    """
    check_want(graph, want)
    return derive(energy_of, graph, want, differentiable=differentiable)


def derive(
    energy_of: EnergyFunction,
    graph: AtomicGraph,
    want: Sequence[str],
    *,
    differentiable: bool = False,
) -> Prediction:
    """`predict` for a `want` that was checked: on a GPU, nothing here waits for a number."""
    if not {"forces", "stress"} & set(want):
        with torch.set_grad_enabled(differentiable):
            energy = energy_of(graph)
        return _as_prediction(energy, (), graph, want)
    with torch.enable_grad():
        moved, variables = _with_variables(graph, want)
        energy = energy_of(moved)
        gradients = torch.autograd.grad(
            energy.structures.sum(),
            list(variables.values()),
            create_graph=differentiable,
            materialize_grads=True,
        )
        prediction = _as_prediction(energy, gradients, graph, want)
    return prediction if differentiable else _detached(prediction)


def predict_heads(
    model: FoundationModel,
    graph: AtomicGraph,
    heads: Sequence[str],
    want: Sequence[str] = ("energy",),
) -> dict[str, Prediction]:
    """`predict` for several heads from one backbone pass; the results are detached.

    Args:
        model: has the heads.
        graph: S structures, N atoms; is not changed.
        heads: names; one backward pass each if derivatives are wanted.
        want: as in `predict`.

    Raises:
        PropertyError, UnknownNameError: as in `predict`, or no such head.
    """
    check_want(graph, want)
    if not {"forces", "stress"} & set(want):
        with torch.no_grad():
            energies = model.energies(graph, heads)
        return {name: _as_prediction(energy, (), graph, want) for name, energy in energies.items()}
    with torch.enable_grad():
        return _derive_heads(model, graph, tuple(dict.fromkeys(heads)), want)


def _derive_heads(
    model: FoundationModel, graph: AtomicGraph, heads: Sequence[str], want: Sequence[str]
) -> dict[str, Prediction]:
    """Slopes of all heads by the features at once, then one backward pass each from there."""
    moved, variables = _with_variables(graph, want)
    descriptors = model.descriptors(moved)
    inputs = list(variables.values())
    repulsion = model.repulsion_energies(moved)
    common = [torch.zeros_like(variable) for variable in inputs]
    # a copy of the features per head, so that one pass tells the slopes of the heads apart
    own = descriptors.detach().expand(len(heads), -1, -1).requires_grad_(True)  # [H, N or S, F]
    energies = model.read(own, graph, heads, None if repulsion is None else repulsion.detach())
    totals = torch.stack([energy.structures for energy in energies.values()])  # [H, S]
    (slopes,) = torch.autograd.grad(totals.sum(), own)
    if repulsion is not None:
        common = list(
            torch.autograd.grad(repulsion.sum(), inputs, retain_graph=True, materialize_grads=True)
        )
    result = {}
    for (head, energy), slope in zip(energies.items(), slopes, strict=True):
        through_network = torch.autograd.grad(
            descriptors, inputs, slope, retain_graph=head != heads[-1], materialize_grads=True
        )
        gradients = [part + rest for part, rest in zip(through_network, common, strict=True)]
        read = energy._replace(descriptors=descriptors)
        result[head] = _detached(_as_prediction(read, gradients, graph, want))
    return result


def check_want(graph: AtomicGraph, want: Sequence[str]) -> None:
    """Raise for what `predict` cannot give.

    Raises:
        PropertyError: stress is wanted and no structure is periodic in three directions.
        UnknownNameError: `want` names something else than `WANTED`.
    """
    for name in want:
        lookup(WANTED, name, "result", "predict")
    if "stress" in want and not bool(graph.pbc.all(dim=1).any()):
        raise PropertyError(
            "stress is defined only for structures that are periodic in three directions; "
            f"pbc is {graph.pbc.tolist()}. Ask for energy and forces only."
        )


def _with_variables(
    graph: AtomicGraph, want: Sequence[str]
) -> tuple[AtomicGraph, dict[str, Tensor]]:
    """A graph that depends on fresh variables, and these: positions and, if wanted, a strain."""
    positions = graph.positions.detach().requires_grad_(True)
    moved = graph._replace(positions=positions)
    variables = {"forces": positions}
    if "stress" in want:
        strain = graph.cell.new_zeros(graph.cell.shape).requires_grad_(True)
        variables["stress"] = strain
        moved = apply_strain(moved, 0.5 * (strain + strain.transpose(1, 2)))
    return moved, variables


def _as_prediction(
    energy: Energy, gradients: Sequence[Tensor], graph: AtomicGraph, want: Sequence[str]
) -> Prediction:
    """Forces and stress, if wanted, from the gradients by positions and strain."""
    stress = None
    if "stress" in want:
        periodic = graph.pbc.all(dim=1)
        volume = torch.where(periodic, volumes(graph), torch.ones_like(graph.cell[:, 0, 0]))
        stress = gradients[1] / volume[:, None, None]
        stress = torch.where(periodic[:, None, None], stress, torch.full_like(stress, torch.nan))
    forces = -gradients[0] if "forces" in want else None
    return Prediction(
        energy.structures, energy.atoms, forces, stress, descriptors=energy.descriptors
    )


def _detached(prediction: Prediction) -> Prediction:
    def detach(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach()

    return Prediction(
        energy=prediction.energy.detach(),
        atom_energies=detach(prediction.atom_energies),
        forces=detach(prediction.forces),
        stress=detach(prediction.stress),
        descriptors=detach(prediction.descriptors),
    )


def apply_strain(graph: AtomicGraph, strain: Tensor) -> AtomicGraph:
    """Strain cell and positions together: x -> x (1 + strain).

    Args:
        graph: S structures.
        strain: [S, 3, 3], symmetric.
    """
    strain_of_atom = strain.index_select(0, graph.batch)
    positions = graph.positions + torch.einsum("ni,nij->nj", graph.positions, strain_of_atom)
    return graph._replace(positions=positions, cell=graph.cell + graph.cell @ strain)


def hessian(energy_of: EnergyFunction, graph: AtomicGraph) -> Tensor:
    """Second derivatives of the energy of one structure, row by row.

    Args:
        energy_of: as in `predict`.
        graph: one structure with N atoms; edges are kept fixed, which is exact with a cutoff
            function that vanishes at the edge of the list.

    Returns:
        [3N, 3N] eV/Å²; row and column 3 i + a belong to direction a of atom i.

    Raises:
        DataError: the graph holds more than one structure.
    """
    if graph.n_structures != 1:
        raise DataError(f"hessian takes one structure, got {graph.n_structures}; use graph.split")
    with torch.enable_grad():
        positions = graph.positions.detach().requires_grad_(True)
        energy = energy_of(graph._replace(positions=positions)).structures.sum()
        (gradient,) = torch.autograd.grad(
            energy, positions, create_graph=True, materialize_grads=True
        )
        if not gradient.requires_grad:
            return torch.zeros(positions.numel(), positions.numel(), dtype=positions.dtype)
        rows = []
        for component in gradient.reshape(-1):
            (row,) = torch.autograd.grad(
                component, positions, retain_graph=True, materialize_grads=True
            )
            rows.append(row.reshape(-1))
    return torch.stack(rows)
