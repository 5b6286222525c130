"""Log folders as HydraGNN leaves them, and what its PaiNN computes, in NumPy and from its text.

`energy` follows the description of HydraGNN's forward pass layer by layer, with the names of its
own tensors; it shares no code with `atomfm_calc.models`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from atomfm_calc.neighbors import find_edges
from atomfm_calc.sample import Sample

Array = NDArray[np.float64]
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0.0),
    "silu": lambda x: x / (1.0 + np.exp(-x)),
    "selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
    ),
    "prelu": lambda x: np.where(x > 0, x, 0.3 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "lrelu_01": lambda x: np.where(x > 0, x, 0.1 * x),
    "lrelu_025": lambda x: np.where(x > 0, x, 0.25 * x),
    "lrelu_05": lambda x: np.where(x > 0, x, 0.5 * x),
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
}
PRELU_SLOPE = 0.3
POOLINGS = {"add": np.sum, "mean": np.mean, "max": np.max}


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """A run's configuration in short; `write` makes the files."""

    conditioning: str = "concat_node"
    activation: str = "silu"
    pooling: str = "add"
    biased: bool = False
    n_layers: int = 2
    n_branches: int = 3
    hidden: int = 5
    n_radial: int = 4
    cutoff: float = 4.0
    n_shared: int = 2
    loss: str = "mae"
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Replace entries of the architecture"""

    @property
    def config(self) -> dict[str, Any]:
        """The content of config.json."""
        head = {"num_sharedlayers": self.n_shared, "dim_sharedlayers": 4}
        head |= {"num_headlayers": 2, "dim_headlayers": [6, 3]}
        architecture = {
            "mpnn_type": "PAINN",
            "enable_interatomic_potential": True,
            "global_attn_engine": "",
            "input_dim": 1,
            "output_dim": [1],
            "output_type": ["graph"],
            "hidden_dim": self.hidden,
            "num_conv_layers": self.n_layers,
            "num_radial": self.n_radial,
            "radius": self.cutoff,
            "activation_function": self.activation,
            "graph_pooling": self.pooling,
            "use_graph_attr_conditioning": self.conditioning != "none",
            "graph_attr_conditioning_mode": self.conditioning.replace("none", "concat_node"),
            "output_heads": {
                "graph": [
                    {"type": f"branch-{branch}", "architecture": head}
                    for branch in range(self.n_branches)
                ]
            },
        }
        training = {"loss_function_type": self.loss}
        return {
            "NeuralNetwork": {
                "Architecture": {**architecture, **self.changes},
                "Training": training,
            }
        }

    def tensors(self) -> dict[str, Array]:
        """Random tensors under HydraGNN's bare names."""
        made, generator = {}, np.random.default_rng(3)

        def linear(name: str, before: int, after: int, bias: bool = True) -> None:
            made[f"{name}.weight"] = generator.normal(size=(after, before)) / np.sqrt(before + 1.0)
            if bias:
                made[f"{name}.bias"] = 0.3 * generator.normal(size=after)

        for index in range(self.n_layers):
            self._layer(linear, index)
        made["graph_convs.0.module_2.0.weight"] *= 0.1  # so that atomic numbers do not saturate
        self._conditioning(linear)
        for branch in range(self.n_branches):
            widths = [self.hidden, *[4] * max(1, self.n_shared)]
            for index, (before, after) in enumerate(pairwise(widths)):
                linear(f"graph_shared.branch-{branch}.{2 * index}", before, after)
            n_outputs = 2 if self.loss == "GaussianNLLLoss" else 1
            for index, (before, after) in enumerate([(4, 6), (6, 3), (3, n_outputs)]):
                linear(f"heads_NN.0.branch-{branch}.{2 * index}", before, after)
        if self.activation == "prelu":
            self._slopes(made)
        return made

    def _layer(self, linear: Any, index: int) -> None:
        width, name = 1 if index == 0 else self.hidden, f"graph_convs.{index}"
        is_last = index == self.n_layers - 1
        linear(f"{name}.module_0.scalar_message_mlp.0", width, width)
        linear(f"{name}.module_0.scalar_message_mlp.2", width, 3 * width)
        linear(f"{name}.module_0.filter_layer", self.n_radial, 3 * width)
        linear(f"{name}.module_1.update_U", width, width, self.biased)
        linear(f"{name}.module_1.update_V", width, width, self.biased)
        linear(f"{name}.module_1.update_mlp.0", 2 * width, width)
        linear(f"{name}.module_1.update_mlp.2", width, (2 if is_last else 3) * width)
        linear(f"{name}.module_2.0", width, self.hidden)
        linear(f"{name}.module_2.2", self.hidden, self.hidden)
        if not is_last:
            linear(f"{name}.module_3", width, self.hidden, self.biased)

    def _conditioning(self, linear: Any) -> None:
        hidden = self.hidden
        if self.conditioning == "concat_node":
            linear("graph_concat_projector", hidden + 2, hidden)
        if self.conditioning == "film":
            linear("graph_conditioner.0", 2, hidden)
            linear("graph_conditioner.2", hidden, 2 * hidden)
        if self.conditioning == "fuse_pool":
            linear("graph_pool_projector.0", hidden + 2, hidden)
            linear("graph_pool_projector.2", hidden, hidden)

    def _slopes(self, made: dict[str, Array]) -> None:
        """One parameter, which HydraGNN saves wherever it is used."""
        places = ["activation_function"]
        for branch in range(self.n_branches):
            shared = range(max(1, self.n_shared))
            places += [f"graph_shared.branch-{branch}.{2 * index + 1}" for index in shared]
            places += [f"heads_NN.0.branch-{branch}.{place}" for place in (1, 3)]
        own = {"film": ["graph_conditioner.1"], "fuse_pool": ["graph_pool_projector.1"]}
        for place in [*places, *own.get(self.conditioning, [])]:
            made[f"{place}.weight"] = np.array([PRELU_SLOPE])


def write(
    run: MadeRun,
    folder: Path,
    *,
    name: str = "run.pk",
    prefix: str = "module.model.",
    without: tuple[str, ...] = (),
) -> Path:
    """Write configuration and a checkpoint, without tensors whose names begin with `without`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(run.config), encoding="utf-8")
    kept = {
        key: value for key, value in run.tensors().items() if not key.startswith(without or "/")
    }
    state = {prefix + key: torch.tensor(value) for key, value in kept.items()}
    torch.save({"model_state_dict": state, "optimizer_state_dict": {}}, folder / name)
    return folder


def energy(run: MadeRun, sample: Sample, branch: int) -> float:
    """Energy of one branch in eV, in NumPy."""
    tensors, activate = run.tensors(), ACTIVATIONS[run.activation]

    def linear(name: str, x: Array) -> Array:
        return np.asarray(x @ tensors[f"{name}.weight"].T + tensors.get(f"{name}.bias", 0.0))

    attributes = np.array([sample.charge, sample.multiplicity], dtype=float)
    s = sample.atomic_numbers.astype(float)[:, None]
    v = np.zeros((len(s), 3, 1))
    for index in range(run.n_layers):
        s, v = _layer(run, sample, linear, f"graph_convs.{index}", s, v)
        if run.conditioning == "concat_node":
            repeated = np.tile(attributes, (len(s), 1))
            s = linear("graph_concat_projector", np.hstack([s, repeated]))
        if run.conditioning == "film":
            hidden = activate(linear("graph_conditioner.0", attributes))
            scale, shift = np.split(linear("graph_conditioner.2", hidden), 2)
            s = s * (1.0 + np.tanh(scale)) + shift
        s = activate(s)
    x = POOLINGS[run.pooling](s, axis=0)
    if run.conditioning == "fuse_pool":
        x = activate(linear("graph_pool_projector.0", np.hstack([x, attributes])))
        x = linear("graph_pool_projector.2", x)
    for index in range(max(1, run.n_shared)):
        x = activate(linear(f"graph_shared.branch-{branch}.{2 * index}", x))
    for index in range(2):
        x = activate(linear(f"heads_NN.0.branch-{branch}.{2 * index}", x))
    return float(linear(f"heads_NN.0.branch-{branch}.4", x)[0])


def _layer(
    run: MadeRun, sample: Sample, linear: Any, name: str, s: Array, v: Array
) -> tuple[Array, Array]:
    silu = ACTIVATIONS["silu"]
    edges = find_edges(sample.positions, sample.cell, sample.pbc, run.cutoff)
    new_s, new_v = s.copy(), v.copy()
    states = linear(
        f"{name}.module_0.scalar_message_mlp.2",
        silu(linear(f"{name}.module_0.scalar_message_mlp.0", s)),
    )
    cell = np.where(sample.pbc[:, None], sample.cell, 0.0)
    for i, j, shift in zip(*edges.edge_index, edges.edge_shift, strict=True):
        r = sample.positions[j] - sample.positions[i] + shift @ cell
        d = np.linalg.norm(r)
        basis = np.sin(np.arange(1, run.n_radial + 1) * np.pi * d / run.cutoff) / d
        w = linear(f"{name}.module_0.filter_layer", basis)
        w = w * 0.5 * (np.cos(np.pi * d / run.cutoff) + 1.0)
        gate_v, gate_e, message = np.split(w * states[j], 3)
        new_s[i] += message
        new_v[i] += v[j] * gate_v + np.outer(r / (d + 1e-9) / d, gate_e)
    s, v = new_s, new_v
    u_v, v_v = linear(f"{name}.module_1.update_U", v), linear(f"{name}.module_1.update_V", v)
    gates = np.hstack([np.sqrt((v_v**2).sum(axis=1)), s])
    gates = linear(
        f"{name}.module_1.update_mlp.2", silu(linear(f"{name}.module_1.update_mlp.0", gates))
    )
    *a_vv, a_sv, a_ss = np.split(gates, gates.shape[1] // s.shape[1], axis=1)
    s = s + a_sv * (u_v * v_v).sum(axis=1) + a_ss
    if a_vv:
        v = linear(f"{name}.module_3", v + a_vv[0][:, None, :] * u_v)
    return linear(f"{name}.module_2.2", np.tanh(linear(f"{name}.module_2.0", s))), v
