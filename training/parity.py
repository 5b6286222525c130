"""Labels and predictions of a run on held-out structures, and its learning curves, in one file.

`atomfm models show NAME --html PAGE --parity FILE` draws them.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray

from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.registry.parity import CurvePoint, HeadParity, Parity
from training.assemble import assemble
from training.data.loader import FixedLoader
from training.engine.logs import METRICS_FILE
from training.engine.losses import LabeledBatch
from training.engine.metrics import move, predict_batch
from training.evaluate import load_average
from training.pretrain import load_run_config, validation_index

logger = logging.getLogger(__name__)

N_PAIRS = 400
"""Of energies and of force components of a head; so many points fill a small plot."""


def parity_of_run(run: Path, split: str, limit: int | None = None) -> Parity:
    """Labels and predictions of the averaged weights of a run.

    Args:
        run: a run folder.
        split: "validation" or "test".
        limit: structures per head; None: all.
    """
    config = load_run_config(run)
    torch.set_num_threads(config.threads)
    model = load_average(run, config.kernel).to(torch.device(config.device))
    data = assemble(config.heads, replace(config.data, files_of_run=run), model.cutoff)
    index = validation_index(data, limit, split)
    heads = parity(model, FixedLoader(data.assembler, index, config.batch))
    return Parity(split=split, heads=heads, learning_curves=_curves(run / METRICS_FILE))


def parity(model: FoundationModel, batches: FixedLoader) -> dict[str, HeadParity]:
    """Labels and predictions by head; of many, an even sample."""
    found = {name: _Collected() for name in model.head_names}
    device = next(model.parameters()).device
    for batch in batches:
        for head, part in _parts(model, move(batch, device)):
            found[head].add(*part)
    return {name: one.result() for name, one in found.items() if one.n_structures}


Arrays = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]
"""Energies [S, 2] and force components [N, 3, 2], label and prediction; atomic numbers [N]."""


def _parts(model: FoundationModel, batch: LabeledBatch) -> Iterator[tuple[str, Arrays]]:
    """A batch by head; NaN where there is no label."""
    graph, head = batch.graph, batch.head
    prediction = predict_batch(model, batch, ("energy", "forces"), differentiable=False)
    assert prediction.forces is not None
    table = torch.stack([model.head(name).references for name in model.head_names])  # [H, 119]
    references = torch.zeros(graph.n_structures, dtype=torch.float64, device=head.device)
    of_atoms = table[head.index_select(0, graph.batch), graph.atomic_numbers]
    references.index_add_(0, graph.batch, of_atoms)
    energies = torch.stack([batch.targets["energy"].double(), prediction.energy.double()], dim=1)
    energies = (energies - references[:, None]) / graph.n_atoms[:, None]  # [S, 2]
    labels = batch.targets.get("forces", torch.full_like(prediction.forces, torch.nan))
    forces = torch.stack([labels.double(), prediction.forces.double()], dim=2)  # [N, 3, 2]
    for place in head.unique().tolist():
        structures, atoms = head == place, head.index_select(0, graph.batch) == place
        arrays = (energies[structures], forces[atoms], graph.atomic_numbers[atoms])
        one, two, three = (array.cpu().numpy() for array in arrays)
        yield model.head_names[place], (one, two, three)


class _Collected:
    """What is known of one head."""

    def __init__(self) -> None:
        self.n_structures = 0
        self._energies: list[NDArray[np.float64]] = []
        self._forces: list[NDArray[np.float64]] = []
        self._errors: dict[int, tuple[float, int]] = defaultdict(lambda: (0.0, 0))

    def add(
        self,
        energies: NDArray[np.float64],
        forces: NDArray[np.float64],
        numbers: NDArray[np.int64],
    ) -> None:
        """Count a part of a batch."""
        self.n_structures += len(energies)
        self._energies.append(energies[np.isfinite(energies[:, 0])])
        labeled = np.isfinite(forces[:, :, 0]).all(axis=1)
        pairs = forces[labeled]
        self._forces.append(pairs.reshape(-1, 2))
        off = np.abs(pairs[:, :, 1] - pairs[:, :, 0]).mean(axis=1)  # [atoms]
        for number in np.unique(numbers[labeled]):
            of_element = off[numbers[labeled] == number]
            total, count = self._errors[int(number)]
            self._errors[int(number)] = (total + float(of_element.sum()), count + len(of_element))

    def result(self) -> HeadParity:
        """For the file."""
        return HeadParity(
            n_structures=self.n_structures,
            energies=_sample(np.concatenate(self._energies)),
            forces=_sample(np.concatenate(self._forces)),
            forces_mae_by_element={
                chemical_symbols[number]: round(1e3 * total / count, 3)
                for number, (total, count) in sorted(self._errors.items())
            },
        )


def _sample(pairs: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Pairs [P, 2], at most `N_PAIRS`, spread over all."""
    chosen = pairs[np.linspace(0, len(pairs) - 1, min(N_PAIRS, len(pairs))).astype(int)]
    return tuple((round(float(label), 4), round(float(told), 4)) for label, told in chosen)


def _curves(path: Path) -> dict[str, tuple[CurvePoint, ...]]:
    """Validation errors of every head over the steps of a run; none without a log."""
    if not path.is_file():
        return {}
    curves: dict[str, list[CurvePoint]] = defaultdict(list)
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
        if line["kind"] != "validation":
            continue
        for head, errors in line["errors"].items():
            curves[head].append(
                CurvePoint(
                    step=line["step"],
                    energy_mae_meV_per_atom=errors["energy_mae_meV_per_atom"],
                    forces_mae_meV_per_angstrom=errors["forces_mae_meV_per_angstrom"],
                )
            )
    return {head: tuple(points) for head, points in curves.items()}
