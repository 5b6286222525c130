"""The files of a HydraGNN run: `config.json` and checkpoints, read without running anything.

A checkpoint is `NAME.pk`, `NAME_epoch_N.pk`, or one file per branch of a task-parallel run,
`NAME_branchI.pk` and `NAME_epoch_N_branchI.pk`. All are written by `torch.save` and hold
"model_state_dict" beside the optimizer's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from atomfm_calc.errors import WeightsError, listing
from atomfm_calc.models.gate import read_torch_file

CONFIG_FILE = "config.json"
CHECKPOINT = re.compile(r"(?P<name>.+?)(_epoch_(?P<epoch>\d+))?(_branch(?P<branch>\d+))?\.pk")
WRAPPERS = re.compile(r"(module\.|model\.)+")
"""What data-parallel training and HydraGNN's own wrapper put before the name of a tensor."""
BRANCH = re.compile(r"\.branch-(\d+)\.")

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class HydraRun:
    """What a run left behind."""

    architecture: Mapping[str, Any]
    """`NeuralNetwork.Architecture` of its configuration"""
    training: Mapping[str, Any]
    """`NeuralNetwork.Training`"""
    state: State
    """Tensors by name, without the names of wrappers; those of all branches"""
    files: tuple[Path, ...]
    """The checkpoints that were read"""
    is_task_parallel: bool
    """One file per branch: conditioning was left out in training"""
    name: str
    """Of the checkpoint"""


def read_run(path: str | Path) -> HydraRun:
    """Read the last checkpoint of a run.

    Args:
        path: the folder of a run, or one of the checkpoints in it.

    Raises:
        WeightsError: no configuration or checkpoint, several to choose from, a damaged file, or one
            that holds more than tensors and numbers.
    """
    path = Path(path).expanduser()
    folder = path.parent if path.is_file() else path
    config = _read_config(folder / CONFIG_FILE)
    files = [path] if path.is_file() else find_checkpoints(folder)
    branches = [_branch_of(file) for file in files]
    states = [read_state(file) for file in files]
    if branches[0] is not None:
        for file, branch, state in zip(files, branches, states, strict=True):
            _check_branch(file, branch, state)
    match = CHECKPOINT.fullmatch(files[0].name)
    return HydraRun(
        architecture=config["Architecture"],
        training=config.get("Training") or {},
        state=_merged(files, states),
        files=tuple(files),
        is_task_parallel=branches[0] is not None,
        name=files[0].stem if match is None else match["name"],
    )


def find_checkpoints(folder: Path) -> list[Path]:
    """The last checkpoint of the run in a folder; one per branch, in order, if task-parallel.

    `NAME.pk` is the last one, or points to it; without it the highest epoch is (10 comes after 9).

    Raises:
        WeightsError: there is none, or those of several runs.
    """
    last: dict[tuple[str, int | None], tuple[float, Path]] = {}
    for file in sorted(folder.glob("*.pk")):
        match = CHECKPOINT.fullmatch(file.name)
        if match is None or not file.is_file():  # a link to nothing, left by an incomplete copy
            continue
        key = match["name"], None if match["branch"] is None else int(match["branch"])
        epoch = float("inf") if match["epoch"] is None else float(match["epoch"])
        last[key] = max(last.get(key, (-1.0, file)), (epoch, file))
    if not last:
        raise WeightsError(f"{folder} has no checkpoint NAME.pk; give the log folder of a run")
    runs = {(name, branch is None) for name, branch in last}
    if len(runs) > 1:
        raise WeightsError(
            f"{folder} has checkpoints of several runs: "
            f"{listing(file.name for _, file in last.values())}; give one of these files"
        )
    return [last[key][1] for key in sorted(last, key=lambda key: key[1] or 0)]


def read_state(path: Path) -> State:
    """The tensors of a checkpoint by name, without the names of wrappers.

    Raises:
        WeightsError: damaged, or holds anything that only running code could restore.
    """
    content = read_torch_file(path)
    state = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise WeightsError(f"{path} has no 'model_state_dict'; is it a checkpoint of HydraGNN?")
    stripped: State = {}
    for name, value in state.items():
        short = WRAPPERS.sub("", str(name), count=1) if WRAPPERS.match(str(name)) else str(name)
        if not isinstance(value, Tensor) or short in stripped:
            raise WeightsError(f"{path}: {name!r} is no tensor, or there twice")
        stripped[short] = value
    return stripped


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        section = content["NeuralNetwork"]
        section["Architecture"]["mpnn_type"]
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror}; a run's log folder has it beside the checkpoint"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is no configuration of HydraGNN: {error!r}") from error
    return dict(section)


def _branch_of(file: Path) -> int | None:
    match = CHECKPOINT.fullmatch(file.name)
    return None if match is None or match["branch"] is None else int(match["branch"])


def _check_branch(file: Path, branch: int | None, state: State) -> None:
    found = {int(match[1]) for name in state if (match := BRANCH.search(name))}
    if found != {branch}:
        raise WeightsError(
            f"{file} is named for branch {branch} and holds branches {sorted(found)}; "
            "was it renamed?"
        )


def _merged(files: Sequence[Path], states: Sequence[State]) -> State:
    """All branches and their one encoder, which has to be the same in all files."""
    merged = dict(states[0])
    for file, state in zip(files[1:], states[1:], strict=True):
        for name, tensor in state.items():
            known = merged.setdefault(name, tensor)
            if known.shape != tensor.shape or not torch.equal(known, tensor):
                raise WeightsError(
                    f"{files[0]} and {file} differ in {name}: they are not of the same epoch"
                )
    return merged
