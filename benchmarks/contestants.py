"""Who takes part, and an environment of its own for each that is not this project.

An environment lies in `.bench/NAME`: a `venv`, and pip under one constraint, the version of torch
that this project runs with, so that all programs compute with the same library.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".bench"
READY = "requirements.json"
"""In an environment: what was asked for when it was finished."""


class AbsentError(Exception):
    """A program cannot take part; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A program with one set of options."""

    adapter: str
    """Key of `worker.ADAPTERS`."""
    about: str
    """What it computes with, for the table."""
    requirements: tuple[str, ...] = ()
    """For pip; none: runs in this project's environment."""
    environment: str = ""
    """Folder in `.bench`."""
    options: dict[str, str] = field(default_factory=dict)
    """Of the adapter."""


CONTESTANTS: dict[str, Contestant] = {
    "atomfm": Contestant(adapter="atomfm", about="PaiNN, F = 128, 4 layers; fused kernel"),
    "reference": Contestant(
        adapter="atomfm",
        about="the same weights, plain torch",
        options={"kernel": "reference"},
    ),
    "schnetpack": Contestant(
        adapter="schnetpack",
        about="PaiNN, F = 128, 4 layers; SpkCalculator, skin 0.5 Å",
        requirements=("schnetpack",),
        environment="schnetpack",
    ),
    "graph-pes": Contestant(
        adapter="graph-pes",
        about="PaiNN, F = 128, 4 layers; GraphPESCalculator, skin 0.5 Å",
        requirements=("graph-pes",),
        environment="graph-pes",
    ),
    "mace": Contestant(
        adapter="mace",
        about="MACE 128x0e, 2 layers, l = 3; MACECalculator",
        requirements=("mace-torch",),
        environment="mace",
    ),
    "chgnet": Contestant(
        adapter="chgnet",
        about="CHGNet as published, F = 64, 6 Å, angles; CHGNetCalculator",
        requirements=("chgnet",),
        environment="chgnet",
    ),
    "torchsim": Contestant(
        adapter="torchsim",
        about="the model of the first row through torch-sim",
        requirements=("torch-sim-atomistic", f"--editable={ROOT}"),
        environment="torchsim",
    ),
}
"""In the order of the table. HydraGNN has no calculator; `training_step.py` measures it."""


def prepare(contestant: Contestant, torch_version: str, folder: Path = ENVIRONMENTS) -> Path:
    """The Python of its environment, which is made if it is not there.

    Args:
        contestant: whose.
        torch_version: the one that all use.
        folder: of all environments.

    Raises:
        AbsentError: pip cannot install it; the text is the last that pip said.
    """
    if not contestant.requirements:
        return Path(sys.executable)
    environment = folder / contestant.environment
    python, ready = environment / "bin" / "python", environment / READY
    wanted = {"torch": torch_version, "requirements": list(contestant.requirements)}
    if ready.exists() and json.loads(ready.read_text(encoding="utf-8")) == wanted:
        return python
    folder.mkdir(exist_ok=True)
    constraints = folder / "constraints.txt"
    constraints.write_text(f"torch=={torch_version}\n", encoding="utf-8")
    steps = (
        [sys.executable, "-m", "venv", str(environment)],
        [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet",
         "--prefer-binary", f"--constraint={constraints}", *contestant.requirements],
    )  # fmt: skip
    for command in steps:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise AbsentError(_last_error(done.stderr) or f"exit status {done.returncode}")
    ready.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    return (errors or lines or [""])[-1]
