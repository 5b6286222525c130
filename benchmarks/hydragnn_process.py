"""HydraGNN in a process and an environment of its own: the side that asks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from atomfm_calc.graph import AtomicGraph
from training.data.loader import Batch

PROGRAM = Path(__file__).parent / "hydragnn_step.py"
EXCEPTION = re.compile(r"[\w.]+(Error|Exception)\b")
"""Where the last part of a traceback begins."""
Answer = dict[str, Any]


class ProgramAbsentError(Exception):
    """HydraGNN did not start, or ended; the text is the last that it said."""


class HydragnnProcess:
    """Measures passes over the batches of a file, by request."""

    def __init__(
        self, python: Path, checkout: Path, batches: Path, *, device: str, threads: int
    ) -> None:
        """Start it.

        Args:
            python: of an environment with what HydraGNN imports.
            checkout: a copy of HydraGNN's repository.
            batches: from `write_batches`.
            device: "cpu" or "cuda".
            threads: of the CPU.

        Raises:
            ProgramAbsentError: it cannot be imported.
        """
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "HYDRAGNN_USE_VARIABLE_GRAPH_SIZE": "1",
            **({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}),
        }
        command = [python, PROGRAM, checkout.resolve(), batches, "--device", device]
        self._process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
        )
        self.versions = self._answer()

    def ask(self, variant: Mapping[str, Any]) -> Answer:
        """Seconds per step of a pass, peak memory in MB, and facts about the variant."""
        self._process.stdin.write(json.dumps(variant) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> HydragnnProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> Answer:
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().splitlines()
        first = max((i for i, text in enumerate(said) if EXCEPTION.match(text)), default=-1)
        reason = " ".join(text.strip() for text in said[first:])
        raise ProgramAbsentError(reason or f"exit code {self._process.returncode}")


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
