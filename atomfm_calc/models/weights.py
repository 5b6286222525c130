"""Model file: safetensors with a strict, versioned JSON header. Never pickle.

The header is one JSON text under `HEADER_KEY` (several keys would be written in no fixed order):
`format`, `format_version`, `architecture`, `heads` (list of names) and `property_heads` (name ->
`PropertyHeadConfig`).
A file of an older version is brought up by one function per step in `UPGRADES`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from atomfm_calc.config import config_to_dict, parse_config
from atomfm_calc.errors import ConfigError, WeightsError, listing
from atomfm_calc.files import replacing
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.foundation import FoundationModel
from atomfm_calc.models.property_heads import PropertyHeadConfig

FORMAT = "atomfm-model"
HEADER_KEY = "atomfm"
FORMAT_VERSION = 3
WEIGHTS_FILE = "model.safetensors"
"""Name of the file inside a model folder."""

State = dict[str, Tensor]
Header = dict[str, Any]


def _without_property_heads(header: Header, state: State) -> tuple[Header, State]:
    """Version 1 knew energy heads only."""
    return {**header, "property_heads": {}}, state


def _with_norm_offset(header: Header, state: State) -> tuple[Header, State]:
    """Version 2 had one fixed offset in the lengths of vectors."""
    architecture = header["architecture"]
    sections = {
        name: {**architecture.get(name, {}), "norm_offset": 1e-8} for name in ("painn", "pnaeq")
    }
    return {**header, "architecture": {**architecture, **sections}}, state


UPGRADES: dict[int, Callable[[Header, State], tuple[Header, State]]] = {
    1: _without_property_heads,
    2: _with_norm_offset,
}
"""From version n to n + 1: header and tensors -> header and tensors."""


def save_weights(
    model: FoundationModel, path: str | Path, dtype: torch.dtype = torch.float32
) -> str:
    """Write the model, references in float64; returns the file's SHA-256.

    Args:
        model: is not changed.
        path: the file to write, usually `folder / WEIGHTS_FILE`.
        dtype: of the weights in the file; float64 for those that someone else published so.
    """
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "architecture": config_to_dict(model.architecture),
        "heads": list(model.head_names),
        "property_heads": {
            name: config_to_dict(config) for name, config in model.property_configs.items()
        },
    }
    state = {
        name: tensor if _is_float64_buffer(name) else tensor.to(dtype)
        for name, tensor in model.state_dict().items()
    }
    return write_tensors(path, header, state)


def load_weights(path: str | Path, kernel: str = "reference") -> FoundationModel:
    """Build the model that a file describes and fill in its weights.

    Args:
        path: a file written by `save_weights`.
        kernel: key of `KERNELS`.

    Returns:
        the model on the CPU, in the precision of the file (references float64), in evaluation mode,
        frozen.

    Raises:
        WeightsError: no such file, damaged, another format, a newer version, or tensors that do not
            match the header.
    """
    header, state = read_file(path)
    try:
        architecture = parse_config(Architecture, header["architecture"], origin=str(path))
        properties = {
            name: parse_config(PropertyHeadConfig, content, origin=f"{path}: {name}")
            for name, content in header["property_heads"].items()
        }
        model = blank_model(architecture, header["heads"], kernel, properties)
    except ConfigError as error:
        raise WeightsError(f"the header is not one of atomfm's: {error}") from error
    expected = model.state_dict()
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        raise WeightsError(f"{path}: missing tensors {missing}, unknown tensors {extra}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"{path}: {name} has shape {tuple(tensor.shape)}; "
                f"the header asks for {tuple(expected[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} holds values that are not finite")
    name, _ = next(model.named_parameters())
    model.to(state[name].dtype).load_state_dict(state)
    return model.eval().requires_grad_(False)


def blank_model(
    architecture: Architecture,
    heads: Sequence[str],
    kernel: str,
    properties: Mapping[str, PropertyHeadConfig] | None = None,
) -> FoundationModel:
    """A model to be filled with weights; torch's random numbers stay where they are."""
    with torch.random.fork_rng(devices=[]):
        model = FoundationModel(architecture, heads, kernel)
        for name, config in (properties or {}).items():
            model.add_property_head(name, config)
    return model


def read_file(path: str | Path) -> tuple[Header, State]:
    """Header, parsed and brought to `FORMAT_VERSION`, and tensors; WeightsError as above."""
    content, state = read_tensors(path, FORMAT, FORMAT_VERSION)
    version, header = content.pop("format_version"), content
    for step in range(version, FORMAT_VERSION):
        header, state = UPGRADES[step](header, state)
    missing = [name for name in ("architecture", "heads", "property_heads") if name not in header]
    if missing:
        raise WeightsError(f"{path}: the header is incomplete, it has no {listing(missing)}")
    return header, state


def write_tensors(path: str | Path, header: Header, state: State) -> str:
    """Write tensors as they are under a JSON header; returns the file's SHA-256.

    Raises:
        WeightsError: it cannot be written; a file that had this name is as it was.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    metadata = {HEADER_KEY: json.dumps(header, sort_keys=True)}
    try:
        with replacing(Path(path)) as partial:
            save_file(tensors, partial, metadata=metadata)
            partial.chmod(0o644)  # safetensors makes it readable by its owner only
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path} cannot be written: {error}. What was there before is whole; make room, or "
            "choose a folder that can be written"
        ) from error
    return sha256_of(path)


def read_tensors(path: str | Path, expected: str, newest: int) -> tuple[Header, State]:
    """Header and tensors of a file of the format `expected`, up to version `newest`.

    Raises:
        WeightsError: no such file, damaged, another format, or a newer version.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise WeightsError(f"there is no model file {path}") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from error
    try:
        header = json.loads(metadata.get(HEADER_KEY, "{}"))
        found = header.get("format")
    except (AttributeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: the header is not JSON: {error}") from error
    if found != expected:
        raise WeightsError(
            f"{path}: format is {found!r}, not {expected!r}; was it written by atomfm?"
        )
    try:
        header["format_version"] = int(header["format_version"])
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: the header is incomplete: {error}") from error
    if header["format_version"] > newest:
        raise WeightsError(
            f"{path} has format version {header['format_version']}; this atomfm reads up to "
            f"{newest}. Upgrade atomfm."
        )
    return header, state


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _is_float64_buffer(name: str) -> bool:
    return name.endswith((".references", ".offset", ".scale"))
