"""The GPAW door: PBE in plane waves with k-points, run in the system Python that has GPAW.

The energy label is the free energy at the smearing's temperature, the one that forces and stress
belong to.
Without spin: magnetic metals are labeled in their non-magnetic state.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomfm_calc.errors import LabelError
from atomfm_calc.sample import Sample
from training.collection.engines import check_targets

WORKER = Path(__file__).with_name("gpaw_worker.py")


@dataclass(frozen=True, kw_only=True)
class GPAWEngine:
    """Energy, forces and stress of small periodic cells by plane-wave DFT."""

    functional: str = "PBE"
    """Exchange-correlation functional in GPAW's name."""
    cutoff_eV: float = 500.0
    """Plane-wave cutoff; at 400 eV oxides and fluorides have Pulay stresses of tens of GPa."""
    k_density: float = 2.0
    """ASE's k-point density in Å."""
    smearing_eV: float = 0.1
    """Width of the Fermi-Dirac occupation."""
    max_iterations: int = 120
    """Self-consistency cycles before giving up."""
    timeout_s: float = 240.0
    """Wall time of one structure."""
    python: str = "/usr/bin/python3"
    """Python that imports gpaw."""

    def label(self, sample: Sample) -> dict[str, NDArray[np.float64]]:
        """Targets of a periodic structure; see `Engine.label`."""
        if not sample.pbc.all():
            raise LabelError("unsupported-periodicity: this engine labels 3-D periodic cells only")
        answer = self._ask(sample)
        if "error" in answer:
            raise LabelError(str(answer["error"]))
        targets = {
            name: np.asarray(answer[name], dtype=np.float64)
            for name in ("energy", "forces", "stress")
        }
        check_targets(targets)
        return targets

    def versions(self) -> dict[str, str]:
        """Version of GPAW."""
        command = [self._interpreter(), "-c", "import gpaw; print(gpaw.__version__)"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        return {"gpaw": done.stdout.split()[-1]}

    def _interpreter(self) -> str:
        found = shutil.which(self.python)
        if found is None:
            raise LabelError(
                f"missing-program: no {self.python!r}; set `python` to one that has gpaw"
            )
        return found

    def _ask(self, sample: Sample) -> dict[str, Any]:
        settings = asdict(self)
        request = {
            "atomic_numbers": sample.atomic_numbers.tolist(),
            "positions": sample.positions.tolist(),
            "cell": sample.cell.tolist(),
            "pbc": sample.pbc.tolist(),
            "settings": settings,
        }
        # env: thread count of the child only; -I: or it would import the gpaw.py of this folder
        command = [
            "env",
            "OMP_NUM_THREADS=1",
            "OPENBLAS_NUM_THREADS=1",
            self._interpreter(),
            "-I",
            str(WORKER),
        ]
        try:
            done = subprocess.run(
                command,
                input=json.dumps(request),
                capture_output=True,
                text=True,
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabelError(f"timeout: more than {self.timeout_s:.0f} s") from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise LabelError(f"gpaw-error: {last}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
