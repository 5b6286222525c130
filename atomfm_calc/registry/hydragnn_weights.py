"""HydraGNN's configuration and tensors -> `Architecture` and tensors of our own names.

Every tensor is expected by name and shape; what is missing, of another shape, not finite or unknown
is named, all of it at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from atomfm_calc.config import parse_config
from atomfm_calc.errors import ConfigError, WeightsError, listing, lookup
from atomfm_calc.models.activations import find_activation
from atomfm_calc.models.architecture import Architecture, EnergyHeadConfig, HydraPainnConfig
from atomfm_calc.models.graph_conditioning import N_ATTRIBUTES
from atomfm_calc.registry.hydragnn_files import BRANCH, HydraRun, State

CONDITIONING_TENSORS = {
    "graph_concat_projector.weight": "concat_node",
    "graph_conditioner.0.weight": "film",
    "graph_pool_projector.0.weight": "fuse_pool",
}
"""A tensor that only one mode of conditioning has."""
POOLINGS = {"add": "add", "sum": "add", "mean": "mean", "max": "max"}
MESSAGE_PASSING = "PAINN"
"""The one type of HydraGNN's message passing that is supported."""


class _Tensors:
    """The tensors of a checkpoint; remembers what was asked for and what was wrong with it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._asked: set[str] = set()
        self.problems: list[str] = []

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor of a name and shape; zeros, and a problem noted, if there is no such."""
        self._asked.add(name)
        found = self._state.get(name)
        if found is None:
            self.problems.append(f"{name} is missing")
        elif tuple(found.shape) != shape:
            self.problems.append(
                f"{name} has shape {tuple(found.shape)}, the configuration asks for {shape}"
            )
        elif not torch.isfinite(found).all():
            self.problems.append(f"{name} is not finite")
        else:
            return found
        return torch.zeros(shape)

    def linear(self, name: str, before: int, after: int, *, bias: bool = True) -> State:
        """Weight and bias of a linear layer."""
        layer = {"weight": self.take(f"{name}.weight", after, before)}
        if bias:
            layer["bias"] = self.take(f"{name}.bias", after)
        return layer

    def unknown(self) -> list[str]:
        """What nothing asked for."""
        return sorted(self._state.keys() - self._asked)


def architecture_of(
    run: HydraRun, head_names: Mapping[int, str], max_neighbors: int | None = None
) -> Architecture:
    """The architecture that a run's configuration describes.

    Args:
        run: with its tensors: whether vectors have biases, and conditioning, are seen there.
        head_names: branch -> name of its head.
        max_neighbors: see `HydraPainnConfig`.

    Raises:
        WeightsError: another kind of network than HydraGNN's PaiNN with pooled energies.
    """
    given = run.architecture
    _check_kind(given)
    widths = {branch: head_widths(run, branch) for branch in head_names}
    first, *_ = widths.values()
    try:
        find_activation(str(given.get("activation_function")))
        backbone = {
            "n_features": given.get("hidden_dim"),
            "n_layers": given.get("num_conv_layers"),
            "n_radial": given.get("num_radial"),
            "cutoff": given.get("radius"),
            "activation": given.get("activation_function"),
            "conditioning": _conditioning(run),
            "pooling": lookup(
                POOLINGS, str(given.get("graph_pooling")).lower(), "pooling", "HydraGNN's PaiNN"
            ),
            "biased_vectors": any(name.endswith(".update_U.bias") for name in run.state),
            "max_neighbors": max_neighbors,
        }
        return Architecture(
            backbone="hydra_painn",
            hydra_painn=parse_config(HydraPainnConfig, backbone, "the configuration of HydraGNN"),
            head=EnergyHeadConfig(hidden=first),
            own_heads={
                head_names[branch]: EnergyHeadConfig(hidden=own)
                for branch, own in widths.items()
                if own != first
            },
            repulsion="none",
        )
    except ConfigError as error:
        raise WeightsError(str(error)) from error


def branches_of(run: HydraRun) -> tuple[int, ...]:
    """Numbers of the branches that the tensors hold, in order.

    Raises:
        WeightsError: none.
    """
    found = {int(match[1]) for name in run.state if (match := BRANCH.search(name))}
    if not found:
        raise WeightsError(
            "the checkpoint has no tensors of a 'branch-N'; it is older than HydraGNN's branches, "
            "or of another network"
        )
    return tuple(sorted(found))


def head_widths(run: HydraRun, branch: int) -> tuple[int, ...]:
    """Widths of the hidden layers of a branch: those that its heads share, then the head's own."""
    heads = (run.architecture.get("output_heads") or {}).get("graph")
    for head in heads if isinstance(heads, Sequence) else ():
        if head.get("type") == f"branch-{branch}":
            sizes = head["architecture"]
            # the first shared layer is there even if none is asked for
            n_shared = max(1, int(sizes["num_sharedlayers"]))
            shared = [int(sizes["dim_sharedlayers"])] * n_shared
            own = [int(width) for width in sizes["dim_headlayers"]][: int(sizes["num_headlayers"])]
            return (*shared, *own)
    raise WeightsError(
        f"output_heads.graph of the configuration has no 'branch-{branch}', the checkpoint has; do "
        "they belong together?"
    )


def translate(
    run: HydraRun, architecture: Architecture, head_names: Mapping[int, str]
) -> dict[str, Tensor]:
    """The tensors of a run under the names of `FoundationModel`.

    Raises:
        WeightsError: names every tensor that is missing, unknown, not finite or of another shape.
    """
    tensors = _Tensors(run.state)
    config = architecture.hydra_painn
    found: State = {}
    for index in range(config.n_layers):
        layer = _layer(tensors, index, config)
        found |= {f"backbone.layers.{index}.{name}": value for name, value in layer.items()}
    found |= _prefixed("backbone.conditioning.", _conditioning_tensors(tensors, config))
    slope: State = {}
    if config.activation == "prelu":
        slope = {"weight": tensors.take("activation_function.weight", 1)}
        for index in range(config.n_layers):
            found |= _prefixed(f"backbone.activations.{index}.", slope)
    for branch, name in head_names.items():
        sizes = architecture.own_heads.get(name, architecture.head)
        found |= _prefixed(
            f"heads.{name}.network.", _head(tensors, branch, sizes.hidden, run, slope, config)
        )
    problems = [*tensors.problems, *(f"{name} is unknown" for name in tensors.unknown())]
    if problems:
        raise WeightsError(f"{run.files[0]} does not fit the configuration: {listing(problems)}")
    return found


def _layer(tensors: _Tensors, index: int, config: HydraPainnConfig) -> State:
    """One layer: HydraGNN's module_0 (message), 1 (update), 2 and 3 (output)."""
    width, n_features = 1 if index == 0 else config.n_features, config.n_features
    is_last, biased = index == config.n_layers - 1, config.biased_vectors
    name = f"graph_convs.{index}"
    message, update = f"{name}.module_0", f"{name}.module_1"
    filters = tensors.linear(f"{message}.filter_layer", config.n_radial, 3 * width)
    # HydraGNN's radial basis is sin(n pi d / cutoff) / d, ours has the paper's factor before it
    filters["weight"] = filters["weight"] / math.sqrt(2.0 / config.cutoff)
    last_phi = tensors.linear(f"{message}.scalar_message_mlp.2", width, 3 * width)
    n_gates = (2 if is_last else 3) * width
    found = {
        "message.phi.0.": tensors.linear(f"{message}.scalar_message_mlp.0", width, width),
        "message.phi.2.": {key: _reordered(value) for key, value in last_phi.items()},
        "message.radial_filter.": {key: _reordered(value) for key, value in filters.items()},
        "update.mix_u.": tensors.linear(f"{update}.update_U", width, width, bias=biased),
        "update.mix_v.": tensors.linear(f"{update}.update_V", width, width, bias=biased),
        "update.gates.0.": tensors.linear(f"{update}.update_mlp.0", 2 * width, width),
        "update.gates.2.": tensors.linear(f"{update}.update_mlp.2", width, n_gates),
        "scalars_out.0.": tensors.linear(f"{name}.module_2.0", width, n_features),
        "scalars_out.2.": tensors.linear(f"{name}.module_2.2", n_features, n_features),
    }
    if not is_last:
        found["vectors_out."] = tensors.linear(f"{name}.module_3", width, n_features, bias=biased)
    return {f"{key}{part}": value for key, layer in found.items() for part, value in layer.items()}


def _reordered(rows: Tensor) -> Tensor:
    """Three parts for vectors, directions, scalars -> for scalars, directions, vectors."""
    return torch.cat(rows.chunk(3)[::-1])


def _conditioning_tensors(tensors: _Tensors, config: HydraPainnConfig) -> State:
    n_features = config.n_features
    if config.conditioning == "none":
        return {}
    if config.conditioning == "concat_node":
        project = tensors.linear("graph_concat_projector", n_features + N_ATTRIBUTES, n_features)
        return _prefixed("project.", project)
    if config.conditioning == "film":
        name, hidden = "graph_conditioner", max(n_features, N_ATTRIBUTES)
        before, after = N_ATTRIBUTES, 2 * n_features
    else:
        name, hidden = "graph_pool_projector", n_features
        before, after = n_features + N_ATTRIBUTES, n_features
    found = _prefixed("network.0.", tensors.linear(f"{name}.0", before, hidden))
    found |= _prefixed("network.2.", tensors.linear(f"{name}.2", hidden, after))
    if config.activation == "prelu":
        found["network.1.weight"] = tensors.take(f"{name}.1.weight", 1)
    return found


def _head(
    tensors: _Tensors,
    branch: int,
    hidden: Sequence[int],
    run: HydraRun,
    slope: State,
    config: HydraPainnConfig,
) -> State:
    """Layers of a branch: those it shares, then the head's, numbered through."""
    n_shared = _n_shared(run, branch)
    n_outputs = 2 if predicts_variance(run) else 1
    widths = [config.n_features, *hidden, n_outputs]
    found: State = {}
    for index, (before, after) in enumerate(pairwise(widths)):
        part = (
            f"graph_shared.branch-{branch}." if index < n_shared else f"heads_NN.0.branch-{branch}."
        )
        place = 2 * (index if index < n_shared else index - n_shared)
        layer = tensors.linear(f"{part}{place}", before, after)
        if index == len(hidden):  # the second output is a variance, not an energy
            layer = {key: value[:1] for key, value in layer.items()}
        elif slope:
            found |= {f"{2 * index + 1}.weight": tensors.take(f"{part}{place + 1}.weight", 1)}
        found |= _prefixed(f"{2 * index}.", layer)
    return found


def predicts_variance(run: HydraRun) -> bool:
    """Whether heads have a second output, the variance of a Gaussian likelihood."""
    return run.training.get("loss_function_type") == "GaussianNLLLoss"


def _n_shared(run: HydraRun, branch: int) -> int:
    (sizes,) = (
        head["architecture"]
        for head in run.architecture["output_heads"]["graph"]
        if head["type"] == f"branch-{branch}"
    )
    return max(1, int(sizes["num_sharedlayers"]))


def _prefixed(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def _conditioning(run: HydraRun) -> str:
    """The mode whose tensors are there.

    Raises:
        WeightsError: the configuration says otherwise.
    """
    found = [mode for name, mode in CONDITIONING_TENSORS.items() if name in run.state]
    given = run.architecture
    stated = "none"
    if given.get("use_graph_attr_conditioning") and not run.is_task_parallel:
        stated = str(given.get("graph_attr_conditioning_mode")).lower()
    if found != ([] if stated == "none" else [stated]):
        raise WeightsError(
            f"the configuration conditions on charge and multiplicity by {stated!r}, the "
            f"checkpoint has tensors for {found or 'none'}; do they belong together?"
        )
    return stated


def _check_kind(given: Mapping[str, Any]) -> None:
    kind = given.get("mpnn_type")
    if kind != MESSAGE_PASSING:
        raise WeightsError(
            f"the run's mpnn_type is {kind!r}; of HydraGNN's message passing, "
            f"{MESSAGE_PASSING!r} is supported"
        )
    expected: dict[str, Any] = {"input_dim": 1, "output_dim": [1], "output_type": ["graph"]}
    for key, value in expected.items():
        if given.get(key) != value:
            raise WeightsError(
                f"{key} of the run is {given.get(key)!r}; supported is {value!r}: the atomic "
                "number goes in, one energy per structure comes out"
            )
    if given.get("global_attn_engine"):
        raise WeightsError(
            f"the run uses global attention ({given['global_attn_engine']}); this is not supported"
        )
    if not given.get("enable_interatomic_potential"):
        raise WeightsError("the run is no interatomic potential (enable_interatomic_potential)")
