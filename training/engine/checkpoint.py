"""Checkpoints: one safetensors file of plain tensors, all else as JSON in its header.

Tensors are whole and named after their parameters, so that a checkpoint can be resumed by any
number of ranks under any strategy. In a run folder, `checkpoint.safetensors` is always the latest
whole one; the latest few stay as `checkpoint-STEP.safetensors`, the best validated one as
`best.safetensors`. All are links to the same files: nothing is written twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from atomfm_calc.errors import TrainingError
from atomfm_calc.files import sync

CHECKPOINT_FILE = "checkpoint.safetensors"
"""The latest checkpoint of a run folder."""
BEST_FILE = "best.safetensors"
"""The checkpoint with the smallest validation errors."""
FORMAT = "atomfm-checkpoint-3"
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
    """Step, samples, seconds, sampler positions, heads, architecture: JSON."""


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """State of an optimizer as "parameter/name" -> tensor."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": value
        for parameter, entries in optimizer.state.items()
        for key, value in entries.items()
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    part_of: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Put saved tensors into an optimizer of a model that has the parameters; its settings stay.

    `part_of` gives this rank's part of a whole tensor, sharded as its parameter is.
    """
    own = dict(model.named_parameters())
    for key, value in tensors.items():
        name, _, entry = key.rpartition("/")
        if name in own:
            parameter = own[name]
            same = value.shape == parameter.shape
            # counters are not sharded, and stay where the optimizer wants them
            optimizer.state[parameter][entry] = part_of(value, parameter) if same else value


def save_checkpoint(checkpoint: Checkpoint, folder: Path, keep: int) -> None:
    """Write a checkpoint into a run folder; it appears whole or not at all.

    Args:
        checkpoint: `state` has the key "step".
        folder: of the run.
        keep: how many of the latest stay.

    Raises:
        TrainingError: it cannot be written; the one before is still there.
    """
    tensors = {
        f"{group}/{name}": value.detach().cpu().contiguous()
        for group in GROUPS
        for name, value in getattr(checkpoint, group).items()
    }
    path = folder / f"checkpoint-{checkpoint.state['step']:09d}.safetensors"
    # not `files.replacing`: under one name for all tries, what a killed run left, which may be
    # gigabytes, is overwritten when the step comes again; only rank 0 writes here
    partial = path.with_suffix(".partial")
    metadata = {"format": FORMAT, "state": json.dumps(checkpoint.state)}
    try:
        save_file(tensors, partial, metadata=metadata)
        sync(partial)  # a power cut must not leave an empty file under its name
        partial.replace(path)
        _link(path, folder / CHECKPOINT_FILE)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(
            f"{path} cannot be written: {error}. The checkpoint before it is whole; make room and "
            "resume."
        ) from error
    for old in sorted(folder.glob("checkpoint-*.safetensors"))[:-keep]:
        old.unlink()


def mark_best(folder: Path) -> None:
    """Let `BEST_FILE` be the latest checkpoint of a run folder."""
    _link(folder / CHECKPOINT_FILE, folder / BEST_FILE)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file or the latest of a run folder.

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


def _link(path: Path, name: Path) -> None:
    """Give a file another name in place of whatever has it."""
    temporary = name.with_suffix(".partial")
    temporary.unlink(missing_ok=True)
    temporary.hardlink_to(path)
    temporary.replace(name)
