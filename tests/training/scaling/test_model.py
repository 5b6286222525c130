"""The scaling model in its limits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from atomfm_calc.errors import ConfigError, TrainingError, UnknownNameError
from training.scaling import MACHINES
from training.scaling.machine import load_machine
from training.scaling.model import (
    TRAFFIC,
    Assumptions,
    ScalingModel,
    Workload,
    allreduce_seconds,
    device_factor,
    expected_maximum,
    fit_compute,
    gradient_seconds,
    node_counts,
    ring_seconds,
    speedup,
    store_seconds,
    tree_seconds,
    weak_efficiency,
)

WORKLOAD = Workload(
    fixed_seconds=0.01,
    seconds_per_atom=1e-4,
    backward_fraction=0.6,
    structures_per_rank=64.0,
    atoms_per_structure=20.0,
    edges_per_atom=30.0,
    atoms_variance_per_structure=50.0,
    backbone_bytes=40e6,
    head_bytes=2e6,
    n_heads=16,
)


def model_on(machine: str, strategy: str = "ddp", **changes: float) -> ScalingModel:
    return ScalingModel(
        workload=replace(WORKLOAD, **changes),
        machine=load_machine(machine),
        factor=10.0,
        strategy=TRAFFIC[strategy],
        assumed=Assumptions(),
    )


def test_a_line_through_measured_steps_is_found_again() -> None:
    atoms = [100.0, 200.0, 400.0]
    assert fit_compute(atoms, [0.5 + 0.01 * n for n in atoms]) == pytest.approx((0.5, 0.01))


@pytest.mark.parametrize("seconds", [[2.0, 4.0], [4.0, 2.0], [1.0, 5.0]])
def test_a_fit_is_never_negative(seconds: list[float]) -> None:
    fixed, per_atom = fit_compute([100.0, 200.0], seconds)
    assert fixed == 0.0
    assert per_atom == pytest.approx(0.02)  # mean 3 s for mean 150 atoms


def test_a_fit_needs_steps() -> None:
    with pytest.raises(TrainingError, match="0 measured steps are no basis"):
        fit_compute([], [])


def test_the_expected_maximum_of_normal_variables() -> None:
    assert expected_maximum(1) == 0.0
    assert expected_maximum(2) == pytest.approx(1 / math.sqrt(math.pi), rel=0.05)  # exact
    assert expected_maximum(3) == pytest.approx(1.5 / math.sqrt(math.pi), rel=0.03)  # exact
    assert 3.2 < expected_maximum(1000) < 3.3  # 3.241 by integration


@pytest.mark.parametrize("algorithm", [ring_seconds, tree_seconds])
def test_an_allreduce_alone_takes_no_time(algorithm: object) -> None:
    assert callable(algorithm)
    assert algorithm(1e9, 1, 1e-5, 1e9) == 0.0


def test_a_ring_of_two_sends_the_bytes_once_each_way() -> None:
    # each half goes there, reduced, and back: two messages of half the bytes
    assert ring_seconds(1e9, 2, 1e-3, 1e9) == pytest.approx(2e-3 + 1.0)
    assert ring_seconds(1e9, 10**6, 0.0, 1e9) == pytest.approx(2.0, rel=1e-5)


def test_trees_win_for_short_messages_and_rings_for_long_ones() -> None:
    assert tree_seconds(1e3, 64, 1e-5, 1e10) < ring_seconds(1e3, 64, 1e-5, 1e10)
    assert ring_seconds(1e10, 8, 1e-5, 1e10) < tree_seconds(1e10, 8, 1e-5, 1e10)


@pytest.mark.parametrize("name", MACHINES)
def test_communication_grows_with_ranks_and_bytes(name: str) -> None:
    machine = load_machine(name)
    ranks = [1, 2, machine.ranks_per_node, *(4**i * machine.ranks_per_node for i in range(1, 6))]
    times = [allreduce_seconds(40e6, n, machine, 25e6) for n in ranks]
    assert times[0] == 0.0
    assert times == sorted(times)
    assert allreduce_seconds(80e6, ranks[-1], machine) > allreduce_seconds(40e6, ranks[-1], machine)
    assert allreduce_seconds(0.0, ranks[-1], machine) == 0.0


@pytest.mark.parametrize("strategy", TRAFFIC)
@pytest.mark.parametrize("name", MACHINES)
def test_one_rank_has_nothing_to_wait_for(name: str, strategy: str) -> None:
    step = model_on(name, strategy).step(1)
    assert (step.imbalance, step.communication, step.store) == (0.0, 0.0, 0.0)
    assert step.total == pytest.approx(0.01 + 64 * 20 * 1e-4 / 10)


@pytest.mark.parametrize("name", MACHINES)
def test_weak_scaling_never_gains_efficiency(name: str) -> None:
    steps = model_on(name).weak()
    efficiency = weak_efficiency(steps)
    assert efficiency[0] == 1.0
    assert all(0.0 < value <= 1.0 for value in efficiency)
    assert efficiency == sorted(efficiency, reverse=True)
    assert steps[-1].ranks == load_machine(name).max_nodes * load_machine(name).ranks_per_node


@pytest.mark.parametrize("name", MACHINES)
def test_strong_scaling_saturates(name: str) -> None:
    steps = model_on(name).strong()
    gains = speedup(steps)
    ideal = [step.ranks / steps[0].ranks for step in steps]
    assert gains[0] == 1.0
    assert all(gain <= best for gain, best in zip(gains, ideal, strict=True))
    assert gains[-1] < 0.5 * ideal[-1]
    assert all(step.structures == pytest.approx(steps[0].structures) for step in steps)
    assert steps[-1].structures / steps[-1].ranks >= 1.0


@pytest.mark.parametrize("name", MACHINES)
def test_head_groups_communicate_less(name: str) -> None:
    machine = load_machine(name)
    for ranks in (2, 16, 64, 1024):
        whole = gradient_seconds(WORKLOAD, ranks, machine, TRAFFIC["ddp"], 25e6)
        grouped = gradient_seconds(WORKLOAD, ranks, machine, TRAFFIC["multitask"], 25e6)
        assert grouped < whole
    single = replace(WORKLOAD, n_heads=1)
    assert gradient_seconds(single, 64, machine, TRAFFIC["multitask"], 25e6) == gradient_seconds(
        single, 64, machine, TRAFFIC["ddp"], 25e6
    )


def test_a_step_on_an_accelerator_takes_its_least_time() -> None:
    model = model_on("frontier", fixed_seconds=0.0, seconds_per_atom=1e-9)
    assert model.step(1).total == pytest.approx(model.assumed.least_fixed_seconds, rel=1e-3)


def test_equal_batches_have_no_imbalance() -> None:
    assert model_on("frontier", atoms_variance_per_structure=0.0).step(512).imbalance == 0.0


def test_reads_inside_a_node_are_free_and_width_bounds_the_rest() -> None:
    machine = load_machine("frontier")
    assumed = Assumptions(store_width=16)
    assert store_seconds(WORKLOAD, 64, 8, machine, Assumptions()) == 0.0
    narrow = store_seconds(WORKLOAD, 64, 1024, machine, assumed)
    assert 0.0 < narrow < store_seconds(WORKLOAD, 64, 1024, machine, Assumptions())
    assert narrow == store_seconds(WORKLOAD, 64, 4096, machine, assumed)


def test_machines_are_found_by_name_and_devices_compared_by_bandwidth() -> None:
    assert device_factor(load_machine("aurora"), 10.0) == pytest.approx(100.0)  # 1000 GB/s
    with pytest.raises(UnknownNameError, match="no machine 'summit'"):
        load_machine("summit")
    with pytest.raises(ConfigError, match="cannot read"):
        load_machine("missing.yaml")


def test_node_counts_end_with_the_machine() -> None:
    assert node_counts(100) == [1, 4, 16, 64, 100]
    assert node_counts(1) == [1]
