"""Message-passing kernels by name; `reference` (plain torch) defines the result of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

from torch import Tensor

from atomfm_calc.errors import SetupError, lookup
from atomfm_calc.graph import AtomicGraph
from atomfm_calc.kernels import reference
from atomfm_calc.kernels.tables import FilterTable

Messages = tuple[Tensor, Tensor]
"""Changes of the scalars [N, F] and of the vectors [N, 3, F]."""


Layers = Callable[[Tensor, Tensor], Messages]
"""Scalars [N, F] before the first layer, edge vectors [E, 3] -> scalars and vectors behind all."""


Exact = Callable[[AtomicGraph], Tensor]
"""The same in plain torch, for derivatives of the gradient."""


class RepulsionLaw(NamedTuple):
    """What `models.repulsion` knows of pairs."""

    radii: Tensor
    """Å by atomic number, float64; pairs repel below the sum of theirs"""
    powers: Tensor
    """1/Å by atomic number, float64; the screening length is one over the sum of theirs"""
    constants: tuple[tuple[float, ...], tuple[float, ...], float, int]
    """Exponents and amplitudes of the screening, Coulomb's constant eV Å, power of the envelope"""


class LayerWeights(NamedTuple):
    """The weights of a message block and the update block behind it."""

    state_hidden: Tensor
    """[F, F]"""
    state_hidden_bias: Tensor
    """[F]"""
    states: Tensor
    """[3F, F]"""
    states_bias: Tensor
    """[3F]"""
    table: FilterTable
    """The radial filters"""
    mix: Tensor
    """[2F, F]: U above V"""
    hidden: Tensor
    """[F, 2F], of scalars and lengths"""
    hidden_bias: Tensor
    """[F]"""
    gates: Tensor
    """[3F, F]: a_vv, a_sv, a_ss"""
    gates_bias: Tensor
    """[3F]"""
    offset: float
    """Added to squared lengths"""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """How the messages of the neighbors are summed."""

    sides: Callable[[Tensor, int], Any]
    """Edges [2, E] sorted by center, number of atoms -> what the kernel wants to know of them; made
    once per graph"""
    messages: Callable[[Tensor, Tensor | None, Tensor, Tensor, Any], Messages]
    """`reference.messages`: with the filters of every edge; differentiable twice in all of them"""
    tabulated_messages: Callable[
        [Tensor, Tensor | None, Tensor, Tensor, FilterTable, Any], Messages
    ]
    """`reference.tabulated_messages`: the same with distances and a table in place of filters, for
    frozen weights"""
    prepare: Callable[[Sequence[LayerWeights]], Any] | None
    """Weights as `network` wants them; None: the kernel has no `network`"""
    network: Callable[[Tensor, Tensor, Any, Any, Layers], Messages] | None
    """`cpu_network.network`: all layers in a row, for frozen weights"""
    prepare_heads: Callable[[Sequence[Tensor], Sequence[Tensor]], Any] | None
    """`cpu_heads.prepare`: weights as `heads` wants them; None: the kernel has no `heads`"""
    heads: Callable[[Tensor, Any, Callable[[Tensor], Tensor]], Tensor] | None
    """`cpu_heads.heads`: all layers of several frozen heads in a row"""
    edge_vectors: Callable[[AtomicGraph, Exact], Tensor] | None
    """`graph.edge_vectors`, where plain torch is slow"""
    repulsion: Callable[[AtomicGraph, RepulsionLaw, Exact], Tensor] | None
    """The same for the energies of `models.repulsion` [N] eV, float64"""
    reads_tables: bool
    """Whether the kernel gains from a table, so that it is made"""


def _sides_cpu(*arguments: Any) -> Any:
    from atomfm_calc.kernels import cpu  # here, so that Numba is imported by the first use only

    return cpu.Sides(*arguments)


def _messages_cpu(*arguments: Any) -> Messages:
    from atomfm_calc.kernels import cpu

    return cpu.messages(*arguments)


def _tabulated_messages_cpu(*arguments: Any) -> Messages:
    from atomfm_calc.kernels import cpu

    return cpu.tabulated_messages(*arguments)


def _prepare_cpu(*arguments: Any) -> Any:
    from atomfm_calc.kernels import cpu_network

    return cpu_network.prepare(*arguments)


def _network_cpu(*arguments: Any) -> Messages:
    from atomfm_calc.kernels import cpu_network

    return cpu_network.network(*arguments)


def _prepare_heads_cpu(*arguments: Any) -> Any:
    from atomfm_calc.kernels import cpu_heads

    return cpu_heads.prepare(*arguments)


def _heads_cpu(*arguments: Any) -> Tensor:
    from atomfm_calc.kernels import cpu_heads

    return cpu_heads.heads(*arguments)


def _edge_vectors_cpu(*arguments: Any) -> Tensor:
    from atomfm_calc.kernels import cpu_geometry

    return cpu_geometry.edge_vectors(*arguments)


def _repulsion_cpu(*arguments: Any) -> Tensor:
    from atomfm_calc.kernels import cpu_geometry

    return cpu_geometry.repulsion(*arguments)


def _sides_cuda(*arguments: Any) -> Any:
    _require_triton()
    from atomfm_calc.kernels import cuda  # here: Triton is not everywhere

    return cuda.Sides(*arguments)


def _messages_cuda(*arguments: Any) -> Messages:
    from atomfm_calc.kernels import cuda

    return cuda.messages(*arguments)


def _tabulated_messages_cuda(*arguments: Any) -> Messages:
    from atomfm_calc.kernels import cuda

    return cuda.tabulated_messages(*arguments)


KERNELS: dict[str, Kernel] = {
    "reference": Kernel(
        sides=reference.sides,
        messages=reference.messages,
        tabulated_messages=reference.tabulated_messages,
        prepare=None,
        network=None,
        prepare_heads=None,
        heads=None,
        edge_vectors=None,
        repulsion=None,
        reads_tables=False,
    ),
    "cpu": Kernel(
        sides=_sides_cpu,
        messages=_messages_cpu,
        tabulated_messages=_tabulated_messages_cpu,
        prepare=_prepare_cpu,
        network=_network_cpu,
        prepare_heads=_prepare_heads_cpu,
        heads=_heads_cpu,
        edge_vectors=_edge_vectors_cpu,
        repulsion=_repulsion_cpu,
        reads_tables=True,
    ),
    "cuda": Kernel(
        sides=_sides_cuda,
        messages=_messages_cuda,
        tabulated_messages=_tabulated_messages_cuda,
        prepare=None,
        network=None,
        prepare_heads=None,
        heads=None,
        edge_vectors=None,
        repulsion=None,
        reads_tables=True,
    ),
}


def best_kernel(device_type: str) -> str:
    """The fastest kernel for a device: "cpu" there, "cuda" there if Triton is installed.

    Elsewhere it is "reference", plain torch.
    """
    if device_type == "cuda":
        return "reference" if find_spec("triton") is None else "cuda"
    return "cpu" if device_type == "cpu" else "reference"


def find_kernel(name: str) -> Kernel:
    """The kernel of a name, with what it needs installed.

    Raises:
        UnknownNameError: no such kernel.
        SetupError: it is "cuda" and Triton is not installed.
    """
    kernel = lookup(KERNELS, name, "kernel")
    if name == "cuda":
        _require_triton()
    return kernel


def _require_triton() -> None:
    if find_spec("triton") is None:
        raise SetupError(
            "kernel 'cuda' needs Triton, which is not installed; CUDA builds of torch bring it "
            "(else: pip install triton). Or use kernel='reference', or leave it to be chosen"
        )
