"""A loaded model as plain data, so that calculators can be pickled and sent without any file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from atomfm_calc.config import config_to_dict, parse_config
from atomfm_calc.models.architecture import Architecture
from atomfm_calc.models.gate import CompositionGate
from atomfm_calc.models.property_heads import PropertyHeadConfig
from atomfm_calc.models.uncertainty import HeadUncertainty
from atomfm_calc.models.weights import blank_model
from atomfm_calc.registry.card import ModelCard
from atomfm_calc.registry.catalog import LoadedModel


def pack_model(loaded: LoadedModel) -> dict[str, Any]:
    """Architecture, card, weights, gate, uncertainties as text, numbers and NumPy arrays."""
    model = loaded.model
    return {
        "architecture": config_to_dict(model.architecture),
        "heads": list(model.head_names),
        "properties": {name: config_to_dict(c) for name, c in model.property_configs.items()},
        "state": {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()},
        "card": config_to_dict(loaded.card),
        "folder": str(loaded.folder),
        "gate": None if loaded.gate is None else _pack_gate(loaded.gate),
        "uncertainties": {
            name: {field.name: getattr(head, field.name) for field in fields(head)}
            | {"covariance": head.covariance.numpy()}
            for name, head in loaded.uncertainties.items()
        },
    }


def unpack_model(packed: dict[str, Any], kernel: str) -> LoadedModel:
    """The model that `pack_model` was given, on the CPU, with any kernel; reads no file."""
    architecture = parse_config(Architecture, packed["architecture"], "the packed model")
    properties = {
        name: parse_config(PropertyHeadConfig, content, "the packed model")
        for name, content in packed["properties"].items()
    }
    model = blank_model(architecture, packed["heads"], kernel, properties)
    state = {name: torch.from_numpy(array.copy()) for name, array in packed["state"].items()}
    name, _ = next(model.named_parameters())
    model.to(state[name].dtype).load_state_dict(state)
    return LoadedModel(
        model=model.eval().requires_grad_(False),
        card=parse_config(ModelCard, packed["card"], "the packed card"),
        folder=Path(packed["folder"]),
        gate=None if packed["gate"] is None else _unpack_gate(packed["gate"]),
        uncertainties={
            name: HeadUncertainty(
                **content | {"covariance": torch.from_numpy(content["covariance"].copy())}
            )
            for name, content in packed["uncertainties"].items()
        },
    )


def _pack_gate(gate: CompositionGate) -> dict[str, Any]:
    return {
        "settings": {"heads": gate.heads, "hidden": gate.hidden, "reads": gate.reads},
        "reach": gate.reach,
        "state": {name: tensor.numpy() for name, tensor in gate.state_dict().items()},
    }


def _unpack_gate(packed: dict[str, Any]) -> CompositionGate:
    state = {name: torch.from_numpy(array.copy()) for name, array in packed["state"].items()}
    known = state["training_fractions"]
    gate = CompositionGate(**packed["settings"], training_fractions=known, reach=packed["reach"])
    gate.load_state_dict(state)
    return gate.eval().requires_grad_(False)
