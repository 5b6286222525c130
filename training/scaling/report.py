"""The scaling report as Markdown: every table says whether it is measured or modelled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from training.scaling.measure import PARTS, WARMUP_STEPS, MeasuredSteps
from training.scaling.model import ModeledStep, speedup, weak_efficiency

if TYPE_CHECKING:
    from training.scaling.study import Curves, ScalingStudy

MODELLED_COLUMNS = (
    *("nodes", "ranks", "structures", "compute ms", "imbalance ms", "communication ms"),
    *("store ms", "step ms", "structures/s"),
)

MAX_FIXED_RATIO = 2.0
"""Compute with and without the fixed time; beyond, the report says that it cannot tell."""


def report_text(study: ScalingStudy) -> str:
    """The whole report."""
    parts = [
        "# Scaling",
        f"Configuration `{study.config}`, measured on {study.device} with {os.cpu_count()} CPU "
        "cores. Tables headed MEASURED are runs on this machine. Tables headed MODELLED are "
        "arithmetic from those runs and from the constants and assumptions at the end; no step "
        "was made on those machines.",
        *_measured_section("weak: one batch per rank", study.weak),
        *_measured_section("strong: the same batches on all ranks together", study.strong),
        "## MEASURED, fitted to the run on one rank",
        _fit_table(study),
    ]
    if study.workload.fixed_seconds == 0.0:
        parts.append(
            "The fixed time could not be told from noise: these batches are too alike or too few, "
            "and all time is given to the atoms. Measure more steps."
        )
    for curves in study.curves:
        parts += _modelled_section(curves)
    parts += ["## Assumptions of the model", *_assumptions(study)]
    return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers to four digits."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " ---: |" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _measured_section(title: str, runs: Sequence[MeasuredSteps]) -> list[str]:
    first = runs[0]
    rows = [
        (
            run.ranks,
            run.batches,
            *(1e3 * median(run.seconds[part]) for part in PARTS),
            1e3 * run.step_seconds,
            run.rate("structures"),
            run.rate("atoms"),
            run.rate("atoms") / first.rate("atoms") * first.ranks / run.ranks,
        )
        for run in runs
    ]
    columns = [
        *("ranks", "batches"),
        *(f"{part} ms" for part in PARTS),
        *("step ms", "structures/s", "atoms/s", "efficiency"),
    ]
    note = (
        f"Medians over {len(first.compute)} steps after the first {WARMUP_STEPS}, timed on rank 0; "
        "communication that runs beside the backward pass is counted there. Efficiency: atoms/s "
        f"per rank relative to {first.ranks}. More ranks than cores share the cores."
    )
    return [f"## MEASURED, {title}", table(columns, rows), note]


def _fit_table(study: ScalingStudy) -> str:
    load = study.workload
    rows: list[tuple[str, object]] = [
        ("fixed time per batch, ms", 1e3 * load.fixed_seconds),
        ("time per atom, µs", 1e6 * load.seconds_per_atom),
        ("backward pass / compute", load.backward_fraction),
        ("structures per batch", load.structures_per_rank),
        ("atoms per structure", load.atoms_per_structure),
        ("edges per atom", load.edges_per_atom),
        ("variance of atoms per structure", load.atoms_variance_per_structure),
        ("gradient of the backbone, MB", load.backbone_bytes / 1e6),
        ("gradient of a head, MB", load.head_bytes / 1e6),
        ("heads", load.n_heads),
        ("memory bandwidth of this device, GB/s", study.copy_GB_per_s),
    ]
    return table(["quantity", "value"], rows)


def _modelled_rows(curves: Curves, steps: Sequence[ModeledStep]) -> list[tuple[object, ...]]:
    return [
        (
            -(-step.ranks // curves.ranks_per_node),
            step.ranks,
            step.structures,
            1e3 * step.compute,
            1e3 * step.imbalance,
            1e3 * step.communication,
            1e3 * step.store,
            1e3 * step.total,
            step.structures / step.total,
        )
        for step in steps
    ]


def _modelled_table(
    curves: Curves,
    steps: Sequence[ModeledStep],
    fast: Sequence[ModeledStep],
    name: str,
    compare: Callable[[Sequence[ModeledStep]], list[float]],
) -> str:
    if not steps:
        return "A rank has less than one structure: nothing to share."
    rows = [
        (*row, value, 1e3 * step.total, 1e3 * step.communication, other)
        for row, value, step, other in zip(
            _modelled_rows(curves, steps), compare(steps), fast, compare(fast), strict=True
        )
    ]
    return table([*MODELLED_COLUMNS, name, "step ms*", "communication ms*", f"{name}*"], rows)


def _modelled_section(curves: Curves) -> list[str]:
    place = f"{curves.machine}, {curves.strategy}"
    fixed = curves.weak[0].compute / curves.weak_fast[0].compute
    note = (
        "Columns with a star: the fixed time per batch, too, divided by the speed of the device. "
        f"The truth lies between; they differ by a factor of {fixed:.3g} in compute"
        + (
            ", which is too much to say how this run scales: measure larger batches, or on such a "
            "device."
            if fixed > MAX_FIXED_RATIO
            else "."
        )
    )
    return [
        f"## MODELLED, {place}, weak: the same batch on every rank",
        _modelled_table(curves, curves.weak, curves.weak_fast, "efficiency", weak_efficiency),
        f"## MODELLED, {place}, strong: the batch of one node on more and more",
        _modelled_table(curves, curves.strong, curves.strong_fast, "speed-up", speedup),
        note,
    ]


def _assumptions(study: ScalingStudy) -> list[str]:
    assumed = study.assumed
    how = (
        "as given on the command line"
        if study.factor_is_given
        else "the ratio of memory bandwidths, as if message passing did nothing but move data; a "
        "measurement on the device itself (--device-factor) is better than this by far"
    )
    by_machine = {curves.machine: curves.factor for curves in study.curves}
    factors = ", ".join(f"{name} {factor:.3g}" for name, factor in by_machine.items())
    lines = [
        f"Speed of a device relative to the measured one: {factors}, {how}.",
        "The fixed time per batch, Python and kernel launches, is kept as measured, and in columns "
        "with a star divided by the speed of the device; at least "
        f"{1e3 * assumed.least_fixed_seconds:g} ms.",
        "Compute is linear in the number of atoms of a batch; forward, backward and optimizer "
        "together; edges per atom as measured.",
        "Every rank has one batch per step, and waits for the slowest: the expected maximum of "
        "independent normal variables with the measured variance of batch sizes.",
        f"Communication hides behind {assumed.overlap:.0%} of the backward pass; gradients travel "
        f"in buckets of {assumed.bucket_bytes / 1e6:.0f} MB in the precision of the weights.",
        "Allreduce: ring inside a node; between nodes the faster of ring and double binary tree "
        "for the share of each rank; all ranks of a node send at once; no contention in the "
        "network, no stragglers, no noise of the system.",
        "multitask: equal groups of ranks, one per head, that communicate at the same time; the "
        "compute of a rank is that of a rank with all heads.",
        "fsdp: three halves of the traffic of an allreduce, in the same buckets.",
        f"Store: samples are spread evenly over {assumed.store_width or 'all'} ranks; those on "
        f"other nodes cost a one-sided read each, {assumed.bytes_per_atom:.0f} bytes per atom and "
        f"{assumed.bytes_per_edge:.0f} per edge; reads hide behind {assumed.prefetch:.0%} of the "
        "compute; shared memory inside a node costs nothing.",
        "Not in the model: the measured data time, validation, checkpoints, start-up, the file "
        "system, clipping and other small collectives.",
    ]
    for machine in study.machines:
        constants = machine.assumed
        lines.append(
            f"{machine.name}, from its guide: {machine.ranks_per_node} ranks per node, memory "
            f"{machine.memory_bandwidth_GB_per_s:g}, links {machine.link_bandwidth_GB_per_s:g}, "
            f"injection {machine.injection_bandwidth_GB_per_s:g} GB/s. Assumed: latencies "
            f"{constants.link_latency_us:g} µs in a node, {constants.network_latency_us:g} µs "
            f"between nodes, {constants.get_latency_us:g} µs per read; reached parts of bandwidth "
            f"{constants.link_efficiency:g} links, {constants.network_efficiency:g} network, "
            f"{constants.memory_efficiency:g} memory."
        )
    return ["\n".join(f"- {line}" for line in lines)]
