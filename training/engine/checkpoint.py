"""Checkpoints: one safetensors file of plain tensors, all else as JSON in its header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from atomfm_calc.errors import TrainingError

CHECKPOINT_FILE = "checkpoint.safetensors"
"""Name of the file inside a run folder."""
FORMAT = "atomfm-checkpoint-1"
GROUPS = ("model", "average", "optimizer")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that a run needs to go on exactly where it stopped."""

    model: dict[str, Tensor]
    """`state_dict` of the model."""
    average: dict[str, Tensor]
    """Moving averages by parameter name."""
    optimizer: dict[str, Tensor]
    """From `optimizer_tensors`."""
    state: dict[str, Any]
    """Step, samples, seconds, sampler position, heads, architecture: JSON."""


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimizer as "parameter number.name" -> tensor."""
    return {
        f"{index}.{name}": value
        for index, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put saved tensors into an optimizer of the same parameters; its settings stay."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; the file appears whole or not at all."""
    tensors = {
        f"{group}/{name}": value.detach().cpu().contiguous()
        for group in GROUPS
        for name, value in getattr(checkpoint, group).items()
    }
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"format": FORMAT, "state": json.dumps(checkpoint.state)})
    partial.replace(path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file or that of a run folder.

    Raises:
        TrainingError: there is none, or it is no checkpoint of atomfm.
    """
    path = path / CHECKPOINT_FILE if path.is_dir() else path
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in GROUPS}
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118
                group, _, name = key.partition("/")
                groups.setdefault(group, {})[name] = file.get_tensor(key)
    except FileNotFoundError as error:
        raise TrainingError(f"there is no checkpoint {path}; train first") from error
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"{path} is not a readable safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise TrainingError(f"{path}: format {metadata.get('format')!r}, expected {FORMAT!r}")
    return Checkpoint(
        model=groups["model"],
        average=groups["average"],
        optimizer=groups["optimizer"],
        state=json.loads(metadata["state"]),
    )
