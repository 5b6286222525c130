"""Constants of a machine for the scaling model."""

from __future__ import annotations

from pathlib import Path

from pydantic.dataclasses import dataclass

from atomfm_calc.config import CONFIG, load_config
from atomfm_calc.errors import ConfigError, lookup
from training.scaling import MACHINES


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class AssumedConstants:
    """Constants that no guide states: orders of magnitude, alike for all machines."""

    link_latency_us: float
    """Start of a message between devices of a node, with the library's work."""
    network_latency_us: float
    """Start of a message between nodes."""
    get_latency_us: float
    """One one-sided read from another node."""
    link_efficiency: float
    """Part of the bandwidth inside a node that a collective reaches."""
    network_efficiency: float
    """Part of the injection bandwidth that a collective reaches."""
    memory_efficiency: float
    """Part of the memory bandwidth that a copy reaches."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Machine:
    """One machine; the sources stand as comments in its file."""

    name: str
    """For the report."""
    ranks_per_node: int
    """Devices of a node."""
    max_nodes: int
    """Nodes of the largest job."""
    memory_bandwidth_GB_per_s: float
    """Of one device."""
    link_bandwidth_GB_per_s: float
    """Between two devices of a node, one direction, the slowest pair of a ring."""
    injection_bandwidth_GB_per_s: float
    """Of a node into the network, one direction."""
    assumed: AssumedConstants
    """Not from a guide."""

    def __post_init__(self) -> None:
        bandwidths = (
            self.memory_bandwidth_GB_per_s,
            self.link_bandwidth_GB_per_s,
            self.injection_bandwidth_GB_per_s,
        )
        if min(bandwidths) <= 0 or self.ranks_per_node < 1 or self.max_nodes < 1:
            raise ConfigError(f"{self.name}: bandwidths, ranks_per_node and max_nodes are above 0")

    @property
    def link_bytes_per_s(self) -> float:
        """Between devices of a node."""
        return 1e9 * self.link_bandwidth_GB_per_s * self.assumed.link_efficiency

    @property
    def network_bytes_per_s(self) -> float:
        """Share of one rank when all ranks of a node send at the same time."""
        shared = self.injection_bandwidth_GB_per_s / self.ranks_per_node
        return 1e9 * shared * self.assumed.network_efficiency


def load_machine(name: str) -> Machine:
    """The machine of this name, or of a YAML file; UnknownNameError or ConfigError otherwise."""
    if name.endswith((".yaml", ".yml")):
        return load_config(Machine, Path(name))
    return load_config(Machine, lookup(MACHINES, name, "machine"))
