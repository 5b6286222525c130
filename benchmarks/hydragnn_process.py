"""HydraGNN in a process and an environment of its own: the side that asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from worker_process import WorkerProcess

from atomfm_calc.graph import AtomicGraph
from training.data.loader import Batch

PROGRAM = Path(__file__).parent / "hydragnn_step.py"


def start_hydragnn(
    python: Path, checkout: Path, batches: Path, *, device: str, threads: int
) -> WorkerProcess:
    """A process that measures passes over the batches of a file, by request; it says its versions.

    Args:
        python: of an environment with what HydraGNN imports.
        checkout: a copy of HydraGNN's repository.
        batches: from `write_batches`.
        device: "cpu" or "cuda".
        threads: of the CPU.

    Raises:
        ProgramAbsentError: it cannot be imported.
    """
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "HYDRAGNN_USE_VARIABLE_GRAPH_SIZE": "1",
        **({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}),
    }
    command = [python, PROGRAM, checkout.resolve(), batches, "--device", device]
    return WorkerProcess(command, environment)


def write_batches(batches: list[Batch], path: Path) -> None:
    """As `hydragnn_step.py` reads them."""
    torch.save([_table(batch.graph, batch.targets) for batch in batches], path)


def _table(graph: AtomicGraph, targets: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """HydraGNN's edges point as ours do, from center to neighbor; shifts are Cartesian, in Å."""
    cell_of_edge = graph.cell[graph.batch[graph.edge_index[0]]]  # [E, 3, 3]
    return {
        "atomic_numbers": graph.atomic_numbers,
        "positions": graph.positions,
        "edge_index": graph.edge_index,
        "edge_shifts": (graph.edge_shift[:, None] @ cell_of_edge)[:, 0],
        "n_atoms": graph.n_atoms,
        "charge": graph.charge,
        "multiplicity": graph.multiplicity,
        "energy": targets["energy"],
        "forces": targets["forces"],
    }
