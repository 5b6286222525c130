"""This project: random weights in the size of the comparison, with any kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from ase import Atoms
from random_model import CUTOFF, make_evaluator, make_model
from tasks import Case

from atomfm_calc import FoundationCalc
from atomfm_calc.calculators.preparation import checked_graphs
from atomfm_calc.graph import AtomicGraph, collate
from atomfm_calc.models.derivatives import predict, predict_heads
from atomfm_calc.neighbors import EdgeList, SkinCache, find_edges, graph_from_arrays

PACKAGES = ("atomfm",)
HIDDEN = (64,)
"""Layers of the head where there is one."""
BATCH_ATOMS = 2_000
"""Atoms that are computed together where there are several heads."""


class WatchedCache(SkinCache):
    """Tells how long it took."""

    seconds = 0.0

    def edges(self, *arguments: Any) -> EdgeList:
        """As `SkinCache`."""
        started = time.perf_counter()
        found = super().edges(*arguments)
        self.seconds += time.perf_counter() - started
        return found


class Own:
    """A `tasks.Program`."""

    def __init__(self, device: str, options: Mapping[str, Any]) -> None:
        self.device = device
        self.kernel: str | None = options.get("kernel")
        self.evaluator = make_evaluator(self.kernel, 1, HIDDEN, device)
        self.loaded = self.evaluator.loaded
        self.cache: WatchedCache | None = None

    def calculator(self) -> FoundationCalc:
        """With the skin that is the default."""
        calc = FoundationCalc(self.loaded, device=self.device, kernel=self.kernel)
        evaluator = calc._evaluator
        self.cache = WatchedCache(evaluator.model.cutoff, evaluator.settings.skin)
        evaluator.cache = self.cache
        return calc

    def spent_on_neighbors(self) -> float | None:
        """Seconds in the neighbor list of the calculator that was made last."""
        return None if self.cache is None else self.cache.seconds

    def batch(self, structures: list[Atoms], case: Case) -> Callable[[], object]:
        """`predict_many`; with several heads the forces of each, or of their mixture."""
        if case.get("heads", 1) == 1:
            calc = self.calculator()
            return lambda: list(calc.predict_many(structures))
        dtype = getattr(torch, case["dtype"])
        hidden, n_features = tuple(case["hidden"]), case.get("features", 128)
        model = make_model(case["heads"], hidden, n_features, self.loaded.model.kernel)
        model.to(device=self.device, dtype=dtype)
        weights = torch.full((1, case["heads"]), 1.0 / case["heads"])
        energy_of = model.energy_of_mixture(weights.to(device=self.device, dtype=dtype))
        names = model.head_names

        def compute() -> None:
            for part in parts(structures):
                graph = collate(self.graphs(part, case.get("max_neighbors"), dtype))
                graph = graph.to(self.device)
                if case["forces"] == "mixture":
                    predict(energy_of, graph)
                else:
                    predict_heads(model, graph, names, ("energy", "forces"))

        return compute

    def graphs(
        self, structures: list[Atoms], max_neighbors: int | None, dtype: torch.dtype
    ) -> list[AtomicGraph]:
        """As `predict_many` makes them, where all neighbors count."""
        if max_neighbors is not None or dtype != self.evaluator.dtype:
            return [make_graph(atoms, max_neighbors, dtype) for atoms in structures]
        return checked_graphs(self.evaluator, [(atoms, (0, 1)) for atoms in structures])

    def training(self, structures: list[Atoms]) -> Callable[[], object]:
        """The gradient of a loss on energies and forces, and a step of AdamW."""
        model = make_model(1, HIDDEN, kernel=self.loaded.model.kernel)
        model.to(self.device)
        model.requires_grad_(True).train()
        graphs = [make_graph(atoms, None, torch.float32) for atoms in structures]
        graph = collate(graphs).to(self.device)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)

        def step() -> None:
            optimizer.zero_grad()
            found = predict(model.energy_of("head-0"), graph, differentiable=True)
            loss = found.energy.square().mean() + found.forces.square().mean()
            loss.backward()
            optimizer.step()

        return step


def parts(structures: list[Atoms]) -> list[list[Atoms]]:
    """Consecutive structures with up to `BATCH_ATOMS` atoms together."""
    found: list[list[Atoms]] = [[]]
    for atoms in structures:
        if found[-1] and sum(map(len, found[-1])) + len(atoms) > BATCH_ATOMS:
            found.append([])
        found[-1].append(atoms)
    return found


def make_graph(atoms: Atoms, max_neighbors: int | None, dtype: torch.dtype) -> AtomicGraph:
    """The graph of a structure, with the nearest neighbors only if their number is limited."""
    positions, cell, pbc = atoms.get_positions(), atoms.cell.array, atoms.get_pbc()
    edges = find_edges(positions, cell, pbc, CUTOFF)
    if max_neighbors is not None:
        center, neighbor = edges.edge_index
        distance = np.linalg.norm(positions[neighbor] - positions[center], axis=1)
        order = np.lexsort((distance, center))  # by center, then by distance
        first = np.searchsorted(center, center)
        near = order[np.arange(len(center)) - first < max_neighbors]
        edges = EdgeList(edges.edge_index[:, near], edges.edge_shift[near])
    return graph_from_arrays(
        atoms.numbers.astype(np.int64), positions, cell, pbc, edges, dtype=dtype
    )


def make(device: str, options: Mapping[str, Any]) -> Own:
    """For `worker.py`; the option "kernel" names one, or the fastest is taken."""
    return Own(device, options)
