"""What a run is trained on, wherever it comes from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.loader import Assembler
from training.data.packed import PackedGraphs
from training.data.statistics import composition_matrix, fit_references, fit_scale
from training.datasets.adapter import DatasetInfo

SUMMARY_FILE = "data.json"
"""What a run was trained on; beside its checkpoint."""
Index = NDArray[np.int64]
Summary = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """All heads' structures and what was fitted to them."""

    assembler: Assembler
    """Indices -> batches."""
    splits: dict[str, dict[str, Index]]
    """Head -> split -> indices."""
    references: dict[str, NDArray[np.float64]]
    """Head -> [119] eV."""
    scales: dict[str, float]
    """Head -> eV or eV/Å."""
    infos: dict[str, DatasetInfo]
    """Head -> facts about its data."""
    summary: Summary
    """Files with checksums, counts per head: JSON, to be saved as `SUMMARY_FILE`."""

    @property
    def fingerprint(self) -> str:
        """Changes with the data files, the division and the filters."""
        return hashlib.sha256(json.dumps(self.summary, sort_keys=True).encode()).hexdigest()[:16]

    def write_summary(self, folder: Path) -> None:
        """Save the summary in a run folder."""
        text = json.dumps(self.summary, indent=1)
        (folder / SUMMARY_FILE).write_text(text + "\n", encoding="utf-8")


def fit_head(training: PackedGraphs, info: DatasetInfo) -> tuple[NDArray[np.float64], float]:
    """Element references [119] in eV and scale of a head from its training structures."""
    numbers = training.columns["atomic_numbers"].numpy().astype(np.int64)
    counts = composition_matrix(numbers, training.n_atoms)
    energies = training.columns["energy"].numpy()
    prior = info.atom_energies
    if prior is not None and not set(np.unique(numbers).tolist()) <= set(prior):
        prior = None
    references = fit_references(counts, energies, prior)
    forces = training.columns["forces"].numpy()
    return references, fit_scale(counts, energies, forces, references)
