"""The time of a training step on many ranks: pure arithmetic, in seconds and bytes.

step = slowest rank's compute + communication that is not hidden + reads that are not hidden

- compute of a rank = a + b * atoms, both fitted to measured steps; b scaled to the device;
- slowest of P ranks: the expected maximum of P normal variables with the measured spread;
- communication: hierarchical allreduce. Inside a node a ring reduces and gathers; between nodes
  every rank reduces its share, by ring or tree, whichever is faster; each message costs alpha +
  bytes * beta (Hockney's model; ring and tree after Thakur et al., IJHPCA 19, 49 (2005));
- heads: reduced over all ranks, or over the group of ranks that trains the head;
- reads of samples from the distributed store, by one-sided access.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from atomfm_calc.errors import TrainingError
from training.scaling.machine import Machine


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What a strategy sends."""

    backbone_factor: float
    """In units of one allreduce of the backbone's gradient."""
    heads_in_groups: bool
    """Whether a head is reduced over its group alone."""


TRAFFIC = {
    "ddp": Traffic(backbone_factor=1.0, heads_in_groups=False),
    "fsdp": Traffic(backbone_factor=1.5, heads_in_groups=False),
    "multitask": Traffic(backbone_factor=1.0, heads_in_groups=True),
    "multitask-fsdp": Traffic(backbone_factor=1.5, heads_in_groups=True),
}
"""Sharded weights are gathered twice and their gradient scattered once: three halves."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Numbers that are neither measured nor constants of a machine."""

    least_fixed_seconds: float = 0.005
    """Shortest fixed time of a batch on an accelerator: about a thousand kernels of a force model's
    step at 5 µs each."""
    overlap: float = 0.5
    """Part of the backward pass that hides communication."""
    prefetch: float = 0.9
    """Part of the compute that hides reads of samples."""
    bucket_bytes: float = 25e6
    """Gradients travel in buckets of this size (default of torch's DDP)."""
    bytes_per_atom: float = 60.0
    """Of a stored sample: number, position, forces, shares of cell and labels."""
    bytes_per_edge: float = 20.0
    """Of a stored sample: two indices, the shift; 0 if edges are not stored."""
    store_width: int | None = None
    """Ranks that hold one copy of the data together; None: all."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a rank does in a step, as measured, on the machine of the measurement."""

    fixed_seconds: float
    """a: per batch, whatever its size."""
    seconds_per_atom: float
    """b"""
    backward_fraction: float
    """Part of the compute that is the backward pass."""
    structures_per_rank: float
    """Structures in a batch."""
    atoms_per_structure: float
    """Mean."""
    edges_per_atom: float
    """Mean."""
    atoms_variance_per_structure: float
    """Variance of the atoms of a batch / its structures."""
    backbone_bytes: float
    """Gradient of everything but the heads."""
    head_bytes: float
    """Gradient of one head."""
    n_heads: int
    """Number of heads."""


@dataclass(frozen=True, kw_only=True)
class ModeledStep:
    """Seconds of one step; the sum is `total`."""

    ranks: int
    """Processes in all."""
    structures: float
    """Of all ranks."""
    compute: float
    """Mean over ranks."""
    imbalance: float
    """Wait for the slowest rank."""
    communication: float
    """Not hidden by the backward pass."""
    store: float
    """Not hidden by the prefetching loader."""

    @property
    def total(self) -> float:
        """The whole step."""
        return self.compute + self.imbalance + self.communication + self.store


def fit_compute(atoms: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """a and b of seconds = a + b * atoms by least squares, neither below zero.

    Raises:
        TrainingError: no steps, or as many atoms in all of them and no atoms at all.
    """
    if not atoms or len(atoms) != len(seconds) or min(atoms) <= 0:
        raise TrainingError(f"{len(atoms)} measured steps are no basis for a model of compute time")
    mean_atoms, mean_seconds = math.fsum(atoms) / len(atoms), math.fsum(seconds) / len(seconds)
    spread = math.fsum((x - mean_atoms) ** 2 for x in atoms)
    pairs = zip(atoms, seconds, strict=True)
    common = math.fsum((x - mean_atoms) * (y - mean_seconds) for x, y in pairs)
    slope = common / spread if spread > 0 else 0.0
    intercept = mean_seconds - slope * mean_atoms
    if slope <= 0 or intercept < 0:  # batches too equal, or too noisy: all time belongs to atoms
        return 0.0, mean_seconds / mean_atoms
    return intercept, slope


def expected_maximum(n: int) -> float:
    """Expected largest of n standard normal variables; 0 for one (Blom's approximation, 1958)."""
    return max(0.0, NormalDist().inv_cdf((n - 0.375) / (n + 0.25)))


def ring_seconds(n_bytes: float, members: int, latency: float, bytes_per_s: float) -> float:
    """Allreduce around a ring: reduce-scatter, then gather."""
    steps = 2 * (members - 1)
    return steps * latency + steps / members * n_bytes / bytes_per_s


def tree_seconds(n_bytes: float, members: int, latency: float, bytes_per_s: float) -> float:
    """Allreduce over two binary trees that share the bytes: up and down."""
    if members == 1:
        return 0.0
    return 2 * math.ceil(math.log2(members)) * latency + 2 * n_bytes / bytes_per_s


def allreduce_seconds(
    n_bytes: float, ranks: int, machine: Machine, bucket_bytes: float = math.inf
) -> float:
    """Hierarchical allreduce of `n_bytes` over ranks that fill their nodes; 0 for one rank."""
    local = min(ranks, machine.ranks_per_node)
    nodes = math.ceil(ranks / machine.ranks_per_node)
    buckets = max(1, math.ceil(n_bytes / bucket_bytes)) if n_bytes > 0 else 0
    piece = n_bytes / max(buckets, 1)
    assumed = machine.assumed
    inside = ring_seconds(piece, local, 1e-6 * assumed.link_latency_us, machine.link_bytes_per_s)
    between = min(
        algorithm(
            piece / local, nodes, 1e-6 * assumed.network_latency_us, machine.network_bytes_per_s
        )
        for algorithm in (ring_seconds, tree_seconds)
    )
    return buckets * (inside + between)


def gradient_seconds(
    workload: Workload, ranks: int, machine: Machine, strategy: Traffic, bucket_bytes: float
) -> float:
    """All communication of gradients in a step, hidden or not."""
    backbone = allreduce_seconds(workload.backbone_bytes, ranks, machine, bucket_bytes)
    groups = min(workload.n_heads, ranks) if strategy.heads_in_groups else 1
    heads_of_group = math.ceil(workload.n_heads / groups)
    # the groups are equal and communicate at the same time, so one of them is the time of all
    heads = allreduce_seconds(
        heads_of_group * workload.head_bytes, ranks // groups, machine, bucket_bytes
    )
    return strategy.backbone_factor * backbone + heads


def store_seconds(
    workload: Workload, structures: float, ranks: int, machine: Machine, assumed: Assumptions
) -> float:
    """Reads of one rank's samples, hidden or not: those that lie on other nodes."""
    width = min(ranks, assumed.store_width or ranks)
    remote = max(0.0, 1.0 - machine.ranks_per_node / width) * structures
    atom_bytes = assumed.bytes_per_atom + assumed.bytes_per_edge * workload.edges_per_atom
    n_bytes = remote * workload.atoms_per_structure * atom_bytes
    latency = 1e-6 * machine.assumed.get_latency_us
    return remote * latency + n_bytes / machine.network_bytes_per_s


def device_factor(machine: Machine, measured_GB_per_s: float) -> float:
    """How much faster a device of the machine is than the measured one, by memory bandwidth."""
    bandwidth = machine.memory_bandwidth_GB_per_s * machine.assumed.memory_efficiency
    return bandwidth / measured_GB_per_s


@dataclass(frozen=True, kw_only=True)
class ScalingModel:
    """The step of one workload on one machine with one strategy."""

    workload: Workload
    """As measured."""
    machine: Machine
    """To extend it to."""
    factor: float
    """Speed of a device relative to the measured one; divides the time per atom, not the fixed
    time, which is Python and the launch of kernels."""
    strategy: Traffic
    """What is sent."""
    assumed: Assumptions
    """The rest."""

    def step(self, ranks: int, structures_per_rank: float | None = None) -> ModeledStep:
        """A step on `ranks` ranks that fill their nodes; batches as measured, or of this size."""
        workload, assumed = self.workload, self.assumed
        own = workload.structures_per_rank if structures_per_rank is None else structures_per_rank
        per_atom = workload.seconds_per_atom / self.factor
        fixed = max(workload.fixed_seconds, assumed.least_fixed_seconds)
        compute = fixed + per_atom * own * workload.atoms_per_structure
        spread = per_atom * math.sqrt(own * workload.atoms_variance_per_structure)
        buckets = assumed.bucket_bytes
        sent = gradient_seconds(workload, ranks, self.machine, self.strategy, buckets)
        read = store_seconds(workload, own, ranks, self.machine, assumed)
        hiding = assumed.overlap * workload.backward_fraction * compute
        return ModeledStep(
            ranks=ranks,
            structures=own * ranks,
            compute=compute,
            imbalance=expected_maximum(ranks) * spread,
            communication=max(0.0, sent - hiding),
            store=max(0.0, read - assumed.prefetch * compute),
        )

    def weak(self) -> list[ModeledStep]:
        """The same batch on every rank, from one rank to the whole machine."""
        nodes = node_counts(self.machine.max_nodes)
        return [self.step(1), *(self.step(n * self.machine.ranks_per_node) for n in nodes)]

    def strong(self) -> list[ModeledStep]:
        """The batch of one node shared by more and more, until a rank has one structure left."""
        per_node = self.machine.ranks_per_node
        shares = (
            (nodes * per_node, self.workload.structures_per_rank / nodes)
            for nodes in (2**i for i in range(20))
            if nodes <= self.machine.max_nodes
        )
        return [self.step(ranks, share) for ranks, share in shares if share >= 1.0]


def weak_efficiency(steps: Sequence[ModeledStep]) -> list[float]:
    """Time of the first step / time of each; its ranks do the same work."""
    return [steps[0].total / step.total for step in steps]


def speedup(steps: Sequence[ModeledStep]) -> list[float]:
    """Throughput of each step / throughput of the first."""
    first = steps[0].structures / steps[0].total
    return [step.structures / step.total / first for step in steps]


def node_counts(max_nodes: int) -> list[int]:
    """Powers of four up to the machine, and the machine."""
    powers = [4**i for i in range(20) if 4**i < max_nodes]
    return [*powers, max_nodes]
