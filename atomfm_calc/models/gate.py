"""`CompositionGate`: how much each head counts in a mixture, from the composition alone.

The weights know elements and their numbers, not where the atoms are. So they do not change when
atoms move, and the forces of the mixture are the weighted forces of the heads: conservative.

Two kinds of gates are read and written in one format, safetensors beside the model:

- trained here (`python -m training gate`): reads the fractions of the elements, so that a supercell
  or several far copies of a molecule have the weights of one, and knows its training compositions;
- HydraGNN's branch-weight network (`read_branch_weights`): reads the numbers of atoms themselves,
  so its weights change with the size of a supercell, and knows nothing of its training set.

Source: HydraGNN, `BranchWeightMLP`: linear layers with ReLU between them, softmax.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from atomfm_calc.errors import ConfigError, WeightsError, lookup
from atomfm_calc.models.weights import read_tensors, write_tensors
from atomfm_calc.sample import MAX_ATOMIC_NUMBER

GATE_FILE = "gate.safetensors"
"""Name of the file inside a model folder."""
FORMAT = "atomfm-gate"
FORMAT_VERSION = 1

KINDS = ("weight", "bias")
"""Tensors of a linear layer."""

Reads = Literal["fractions", "counts"]


def _fractions(counts: Tensor) -> Tensor:
    return counts / counts.sum(dim=1, keepdim=True)


INPUTS: dict[str, Callable[[Tensor], Tensor]] = {"fractions": _fractions, "counts": torch.clone}
"""What the network is given of the numbers of atoms per element [S, 118]."""


def count_elements(atomic_numbers: Tensor, structure_of_atom: Tensor, n_structures: int) -> Tensor:
    """Atoms per element and structure: [N] and [N] -> [S, 118] float64, hydrogen first."""
    flat = structure_of_atom * MAX_ATOMIC_NUMBER + atomic_numbers - 1
    counts = torch.bincount(flat, minlength=n_structures * MAX_ATOMIC_NUMBER)
    return counts.reshape(n_structures, MAX_ATOMIC_NUMBER).to(torch.float64)


class CompositionGate(nn.Module):
    """Numbers of atoms per element -> weights of the heads, which add up to 1.

    Attributes:
        heads: names, in the order of the columns of the weights.
        hidden: widths of the hidden layers.
        reads: key of `INPUTS`.
        reach: largest distance to a training composition that counts as known.
    """

    training_fractions: Tensor

    def __init__(
        self,
        heads: Sequence[str],
        hidden: Sequence[int] = (),
        *,
        reads: Reads = "fractions",
        training_fractions: Tensor | None = None,
        reach: float = 0.0,
    ) -> None:
        """A gate that weighs all heads alike, until it is trained or filled.

        Args:
            heads: names, two at least.
            hidden: widths of the hidden layers.
            reads: key of `INPUTS`.
            training_fractions: [K, 118] fractions of the elements in each of the K training
                compositions; None: unknown.
            reach: in the unit of `distance`.

        Raises:
            ConfigError: a head is named twice, or fewer than two are.
            UnknownNameError: `reads` names something else.
        """
        super().__init__()
        if len(heads) < 2 or len(set(heads)) < len(heads):
            raise ConfigError(f"a gate needs two heads at least, each once; got {list(heads)}")
        lookup(INPUTS, reads, "input", "a gate")
        self.heads, self.hidden = tuple(heads), tuple(hidden)
        self.reads: Reads = reads
        self.reach = float(reach)
        widths = [MAX_ATOMIC_NUMBER, *hidden, len(heads)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [
                nn.Linear(before, after, dtype=torch.float64) for before, after in pairwise(widths)
            ]
        nn.init.zeros_(layers[-1].weight)
        nn.init.zeros_(layers[-1].bias)
        self.layers = nn.ModuleList(layers)
        if training_fractions is None:
            training_fractions = torch.zeros(0, MAX_ATOMIC_NUMBER)
        self.register_buffer("training_fractions", training_fractions.to(torch.float64))

    @property
    def knows_its_training_set(self) -> bool:
        """Whether `distance` and `unseen_elements` have an answer."""
        return len(self.training_fractions) > 0

    def forward(self, counts: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Weights of the heads.

        Args:
            counts: [S, 118] numbers of atoms per element, hydrogen first.
            allowed: [S, H] bool: heads that may compute the structure, one at least; the others
                get a weight of exactly zero and the rest is divided as before. None: all.

        Returns:
            [S, H] float64; each row adds up to 1.
        """
        hidden: Tensor = INPUTS[self.reads](counts.to(torch.float64))
        for number, layer in enumerate(self.layers):
            hidden = layer(torch.relu(hidden) if number else hidden)
        if allowed is not None:
            hidden = hidden.masked_fill(~allowed, -torch.inf)
        return torch.softmax(hidden, dim=1)

    def unseen_elements(self, counts: Tensor) -> list[int]:
        """Atomic numbers in `counts` [118] that are in no training composition."""
        seen = self.training_fractions.sum(dim=0) > 0
        return [index + 1 for index in ((counts > 0) & ~seen).nonzero()[:, 0].tolist()]

    def distance(self, counts: Tensor) -> Tensor:
        """How far compositions are from the nearest training composition: [S, 118] -> [S].

        The part of the atoms that would have to be other elements, between 0 and 1: half the sum of
        |difference of the fractions|.
        """
        apart = torch.cdist(_fractions(counts.to(torch.float64)), self.training_fractions, p=1.0)
        return 0.5 * apart.min(dim=1).values


def save_gate(gate: CompositionGate, path: str | Path) -> str:
    """Write a gate, usually as `folder / GATE_FILE`; returns the file's SHA-256."""
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "heads": list(gate.heads),
        "hidden": list(gate.hidden),
        "reads": gate.reads,
        "reach": gate.reach,
    }
    state = {name: tensor for name, tensor in gate.state_dict().items() if name.startswith("layer")}
    # a composition holds a few of 118 elements
    composition, element = gate.training_fractions.nonzero().unbind(dim=1)
    state["known.composition"] = composition.to(torch.int32)
    state["known.element"] = (element + 1).to(torch.uint8)
    state["known.fraction"] = gate.training_fractions[composition, element].to(torch.float32)
    return write_tensors(path, header, state)


def load_gate(path: str | Path) -> CompositionGate:
    """The gate of a file, on the CPU, frozen.

    Raises:
        WeightsError: no such file, damaged, another format, or tensors that do not match the
            header.
    """
    header, state = read_tensors(path, FORMAT, FORMAT_VERSION)
    try:
        known = [state.pop(f"known.{name}") for name in ("composition", "element", "fraction")]
        composition, element = known[0].to(torch.int64), known[1].to(torch.int64) - 1
        n_known = int(composition.max()) + 1 if len(composition) else 0
        fractions = torch.zeros(n_known, MAX_ATOMIC_NUMBER, dtype=torch.float64)
        fractions[composition, element] = known[2].to(torch.float64)
        gate = CompositionGate(
            header["heads"],
            header["hidden"],
            reads=header["reads"],
            training_fractions=fractions,
            reach=header["reach"],
        )
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path} is not a complete gate: {error}") from error
    return _filled(gate, state, path)


def read_branch_weights(path: str | Path, heads: Sequence[str] | None = None) -> CompositionGate:
    """HydraGNN's branch-weight network as a gate that gives the same weights.

    Args:
        path: `mlp_branch_weights.pt`: {"mlp_state_dict": {"net.0.weight": [h, 118], ...}}.
        heads: what the branches are called, branch 0 first; None: "branch-0", "branch-1", ...

    Raises:
        WeightsError: no such file, damaged, it holds more than tensors, keys or shapes are not
            those of the network, or the number of branches is not that of `heads`.
    """
    layers = _linear_layers(read_torch_file(path), path)
    n_branches = len(layers[-1][1])
    names = [f"branch-{branch}" for branch in range(n_branches)] if heads is None else list(heads)
    if len(names) != n_branches:
        raise WeightsError(
            f"{path} weighs {n_branches} branches, the model has {len(names)} heads: "
            f"{', '.join(names)}. Is it from the same run?"
        )
    gate = CompositionGate(names, [len(bias) for _, bias in layers[:-1]], reads="counts")
    state = {
        f"layers.{number}.{kind}": tensor
        for number, layer in enumerate(layers)
        for kind, tensor in zip(("weight", "bias"), layer, strict=True)
    }
    return _filled(gate, state, path)


def read_torch_file(path: str | Path) -> Any:
    """Content of a file of `torch.save`, on the CPU; nothing in it is executed.

    Raises:
        WeightsError: no such file, damaged, or it needs more than tensors and plain containers.
    """
    if not Path(path).is_file():
        raise WeightsError(f"there is no file {path}")
    _refuse_inflated(Path(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and torch raise whatever they stumble on
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsError(
            f"{path} is damaged, or holds more than tensors, which is refused because it could run "
            f"code: {reason[0]}"
        ) from error


def _refuse_inflated(path: Path) -> None:
    """WeightsError for an archive that grows when it is read: torch never compresses."""
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return  # no archive, which torch will say
    if inflated > path.stat().st_size:
        raise WeightsError(
            f"{path} has {path.stat().st_size} bytes and would hold {inflated}: torch does not "
            "compress its files, so somebody else wrote this one. It is not read"
        )


def _linear_layers(content: object, path: str | Path) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each linear layer, checked against each other."""
    state = content.get("mlp_state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(
            f"{path} holds no 'mlp_state_dict'; is it HydraGNN's mlp_branch_weights.pt?"
        )
    every = {str(key): value for key, value in state.items()}
    matches = [re.fullmatch(r"net\.(\d+)\.weight", key) for key in every]
    places = sorted(int(match[1]) for match in matches if match)
    # ReLU has the odd places and no weights
    expected = [f"net.{2 * index}.{kind}" for index in range(len(places)) for kind in KINDS]
    if sorted(expected) != sorted(every):
        raise WeightsError(
            f"{path} holds {', '.join(sorted(every))}; a branch-weight network holds net.0.weight, "
            "net.0.bias, net.2.weight and so on"
        )
    layers, width = [], MAX_ATOMIC_NUMBER
    for place in places:
        weight, bias = every[f"net.{place}.weight"], every[f"net.{place}.bias"]
        shapes = [tuple(getattr(tensor, "shape", ())) for tensor in (weight, bias)]
        if len(shapes[0]) != 2 or shapes[0][1] != width or shapes[1] != shapes[0][:1]:
            raise WeightsError(
                f"{path}: net.{place} has weight {shapes[0]} and bias {shapes[1]}; its input is "
                f"{width} wide, so they must be (n, {width}) and (n,)"
            )
        layers.append((weight, bias))
        width = shapes[0][0]
    return layers


def _filled(
    gate: CompositionGate, state: Mapping[str, Tensor], path: str | Path
) -> CompositionGate:
    expected = {name: value for name, value in gate.state_dict().items() if "layers" in name}
    if sorted(expected) != sorted(state):
        raise WeightsError(f"{path} holds {sorted(state)}; a gate of its header {sorted(expected)}")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"{path}: {name} has shape {tuple(tensor.shape)}; "
                f"the header asks for {tuple(expected[name].shape)}"
            )
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path}: {name} holds values that are not finite")
    gate.load_state_dict({name: value.to(torch.float64) for name, value in state.items()}, False)
    return gate.eval().requires_grad_(False)
